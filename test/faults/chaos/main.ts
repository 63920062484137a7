/** `./dev chaos [--minutes N] [--seed S] [--real] [--s3]`: runs the harness for as long as one likes and prints what it found. */
import { parseArgs } from "node:util";
import { cleanUp } from "../../support/cleanup.ts";
import { makeTempDir } from "../../support/temp-dir.ts";
import { run } from "./run.ts";
import { makeWorld } from "./world.ts";

const EVERY_MS = 400;
const OUTAGE_MS = 60_000;

function wholeNumber(text: string | undefined, otherwise: number): number {
  const number = text === undefined ? otherwise : Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  console.error("--minutes and --seed take whole numbers from 1 on.");
  process.exit(64);
}

const { values } = parseArgs({
  options: {
    minutes: { type: "string" },
    seed: { type: "string" },
    real: { type: "boolean", default: false },
    s3: { type: "boolean", default: false },
  },
});
const minutes = wholeNumber(values.minutes, 2);
const seed = wholeNumber(values.seed, 1 + Math.floor(Math.random() * 1_000_000));
const jobs = Math.max(100, Math.floor((minutes * 60_000) / EVERY_MS));

async function main(): Promise<boolean> {
  console.log(
    `seed ${seed}: ${jobs} jobs ${values.real ? "by FFmpeg itself" : "by a stand-in"}, ${minutes} min of faults`,
  );
  await using world = await makeWorld({
    ...{ folder: await makeTempDir("chaos"), workers: 3, apis: 2, leaseTtlMs: 1_500 },
    outageMs: OUTAGE_MS,
    encodeMsMax: values.real ? null : 400,
    store: values.s3 ? "s3" : "folder",
  });
  const result = await run(world, { seed, jobs, everyMs: EVERY_MS, pauseMs: 1_000, atLeastMs: minutes * 60_000 });
  const counts = Map.groupBy(result.fired, ({ fault }) => fault);
  for (const [fault, times] of counts) console.log(`${String(times.length).padStart(5)} × ${fault}`);
  const attempts = await world.rows()<{ attempts: number }[]>`SELECT count(*)::int AS attempts FROM job_attempts`;
  console.log(`${result.submitted.length} jobs acknowledged, ${attempts[0]?.attempts} attempts`);
  console.log(
    result.settledMs === null
      ? "not all of them ended within a minute of the last fault"
      : `all had ended ${(result.settledMs / 1000).toFixed(1)} s after the last fault`,
  );
  for (const sentence of result.found) console.log(`✗ ${sentence}`);
  console.log(`${result.found.length} violations`);
  return result.found.length === 0 && result.settledMs !== null;
}

let kept = false;
try {
  kept = await main();
} finally {
  await cleanUp();
}
process.exit(kept ? 0 : 1);

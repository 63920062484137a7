/** One run: jobs and faults at once, then silence, then the judge. */
import { until } from "../../support/until.ts";
import { judge, judgeLeftovers, openJobs } from "./checker.ts";
import { type Submitted, submitAll } from "./generator.ts";
import { type Fired, rage } from "./nemesis.ts";
import type { World } from "./world.ts";

export interface RunOptions {
  readonly seed: number;
  readonly jobs: number;
  readonly everyMs: number;
  readonly pauseMs: number;
  /** Goes on raging so long, beyond every kind of fault once and all jobs submitted. */
  readonly atLeastMs?: number;
}

export interface RunResult {
  readonly submitted: readonly Submitted[];
  readonly fired: readonly Fired[];
  readonly found: readonly string[];
  /** From the last fault until every job was final; null when that never came. */
  readonly settledMs: number | null;
}

/** R1: all final within a minute of the last fault. */
const SETTLE_MS = 60_000;
/** Staged bytes get four leases of grace, and are looked for every four. */
const CLEAN_LEASES = 12;

/** Jobs that have a row and were never acknowledged, because the replica died in between: they are kept like the others. */
const unheard = async (world: World): Promise<Submitted[]> => [
  ...(await world.rows()<Submitted[]>`
    SELECT id, 'unheard/' || (metadata ->> 'marker') || '.mp4' AS output FROM jobs WHERE metadata ? 'marker'`),
];

export async function run(world: World, options: RunOptions): Promise<RunResult> {
  const untilMs = performance.now() + (options.atLeastMs ?? 0);
  let submitting = true;
  const submissions = submitAll(world, options.jobs, options.everyMs).finally(() => {
    submitting = false;
  });
  submissions.catch(() => {});
  const fired = await rage(world, options.seed, () => !submitting && performance.now() >= untilMs, options.pauseMs);
  const calmAtMs = performance.now();
  const submitted = [...(await submissions), ...(await unheard(world))];
  const settled = await until(async () => (await openJobs(world, submitted)) === 0, {
    ...{ timeoutMs: SETTLE_MS, intervalMs: 100 },
  }).catch(() => false);
  const settledMs = settled ? performance.now() - calmAtMs : null;
  await until(async () => (await judgeLeftovers(world)).length === 0, {
    timeoutMs: CLEAN_LEASES * world.leaseTtlMs + 5_000,
    intervalMs: 250,
  }).catch(() => {});
  return { submitted, fired, settledMs, found: await judge(world, submitted) };
}

/** S9: what the sandbox adds to each start of FFmpeg. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { makeProcessRunner } from "../src/process/runner.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { programs } from "./lib/programs.ts";
import { interleave } from "./lib/rounds.ts";
import { median } from "./lib/stats.ts";
import type { Claim } from "./lib/verdict.ts";

async function sandbox({ folder, long }: BenchContext): Promise<Claim[]> {
  const runner = await makeProcessRunner({ sandbox: "required" });
  const workDir = join(folder, "work");
  await mkdir(workDir);
  const start = async (boxed: boolean): Promise<number> => {
    const startedAt = performance.now();
    const exit = await runner.start({
      program: programs.ffmpegStatic,
      args: ["-hide_banner", "-version"],
      workDir,
      readOnly: [],
      limits: { addressSpaceBytes: 2 ** 32, fileBytes: 2 ** 20, cpuSeconds: 60, openFiles: 64 },
      sandbox: boxed ? "default" : "off",
      niceness: 0,
      stderrBytesMax: 1_000,
    }).exited;
    if (exit.exitCode !== 0) throw new Error(`FFmpeg ended with ${exit.exitCode}: ${exit.stderrTail}`);
    return performance.now() - startedAt;
  };
  await start(true);
  const rounds = long ? 1_000 : 100;
  const { bare, boxed, bareAgain } = await interleave(
    { bare: () => start(false), boxed: () => start(true), bareAgain: () => start(false) },
    { roundsMin: rounds, roundsMax: rounds, budgetMs: 0 },
  );
  const figure = { kind: "figure", goal: "S9", unit: "ms", isTime: true } as const;
  const alone = median([...bare, ...bareAgain]);
  return [
    {
      ...figure,
      what: `sandbox, beyond a bare start of ${alone.toFixed(1)} ms, p50`,
      value: median(boxed) - alone,
      limit: 10,
    },
    {
      ...figure,
      what: "a bare start against itself (A/A)",
      value: Math.abs(median(bareAgain) - median(bare)),
      limit: null,
    },
  ];
}

export const sandboxBench: Bench = {
  name: "sandbox",
  what: "what the sandbox adds to a start of FFmpeg",
  run: sandbox,
};

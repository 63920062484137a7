/** P3: an exact trim that encodes only its edges, against the same trim encoded whole; both by the plans that jobs run. */
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { printArgs } from "../src/media/argv.ts";
import { compile } from "../src/media/compile.ts";
import { parseMediaInfo } from "../src/media/media-info.ts";
import { parseOperations } from "../src/media/operations/parse.ts";
import type { MediaInfo, Plan } from "../src/media/types.ts";
import { sampleCapabilities, sampleLimits } from "../test/support/capabilities.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { makeClip } from "./lib/clips.ts";
import { programs, type Run, timeRun } from "./lib/programs.ts";
import { interleave } from "./lib/rounds.ts";
import { median } from "./lib/stats.ts";
import type { Claim } from "./lib/verdict.ts";

const SECONDS = 60;
const HEAD = ["-nostdin", "-hide_banner", "-nostats", "-v", "error", "-y"];
const TRIM = { type: "trim", start: 3.32, end: 56.68 };

async function json(args: readonly string[]): Promise<unknown> {
  const child = Bun.spawn([programs.ffprobe, "-v", "error", "-of", "json", ...args], {
    stdout: "pipe",
    stdin: "ignore",
  });
  return await new Response(child.stdout).json();
}

async function keyframesOf(clip: string): Promise<number[]> {
  const shown = ["-select_streams", "v:0", "-show_entries", "packet=pts_time,flags"];
  const { packets } = (await json([...shown, clip])) as { packets: { pts_time: string; flags: string }[] };
  const keys = packets.filter(({ flags }) => flags.startsWith("K"));
  return keys.map((packet) => Number(packet.pts_time)).sort((a, b) => a - b);
}

function planOf(media: MediaInfo): Plan {
  return compile({
    ...{ operations: parseOperations([TRIM]), options: {}, outputName: "out.mp4", limits: sampleLimits, threads: 2 },
    ...{ inputs: [{ file: "in/0", media }], capabilities: sampleCapabilities(5) },
  });
}

async function trim({ folder, long }: BenchContext): Promise<Claim[]> {
  const clip = await makeClip({ width: 1280, height: 720, seconds: SECONDS });
  const media = parseMediaInfo(await json(["-show_format", "-show_streams", "-show_chapters", clip]));
  const [whole, edges] = [planOf(media), planOf({ ...media, keyframes: await keyframesOf(clip) })];
  if (edges.steps.at(-1)?.id !== "join") throw new Error(`The trim was not joined: ${edges.warnings.join(" ")}`);
  const cwd = join(folder, "trim");
  await mkdir(join(cwd, "in"), { recursive: true });
  await mkdir(join(cwd, "out"));
  await symlink(clip, join(cwd, "in", "0"));
  for (const plan of [whole, edges]) {
    for (const one of plan.files) if ("text" in one) await Bun.write(join(cwd, one.file), one.text);
  }
  const run = async ({ steps }: Plan): Promise<Run> => {
    let [wallMs, cpuSeconds] = [0, 0];
    for (const step of steps) {
      const one = await timeRun([programs.ffmpeg, ...HEAD, ...printArgs(step.args, cwd)], cwd);
      wallMs += one.wallMs;
      cpuSeconds += one.cpuSeconds;
    }
    return { wallMs, cpuSeconds };
  };
  const series = await interleave(
    { whole: () => run(whole), edges: () => run(edges), wholeAgain: () => run(whole) },
    { roundsMin: 3, roundsMax: long ? 30 : 5, budgetMs: long ? 600_000 : 90_000 },
  );
  const wall = (runs: readonly Run[]): number[] => runs.map(({ wallMs }) => wallMs);
  const cpu = (runs: readonly Run[]): number => median(runs.map(({ cpuSeconds }) => cpuSeconds));
  return [
    {
      kind: "ratio",
      goal: "P3",
      what: "an exact trim of a minute of 720p that encodes only its edges",
      baselineName: "the same trim encoded whole",
      unit: "ms",
      baseline: wall(series.whole),
      baselineAgain: wall(series.wholeAgain),
      candidate: wall(series.edges),
      limit: 0.35,
      bound: "most",
      cpu: { baseline: cpu([...series.whole, ...series.wholeAgain]), candidate: cpu(series.edges) },
    },
  ];
}

export const trimBench: Bench = {
  name: "trim",
  what: "an exact trim that encodes only its edges against one that encodes everything",
  run: trim,
};

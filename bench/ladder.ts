/**
 * P2: a ladder of three rungs from one decode, against one FFmpeg for each rung, with the very same files as the result.
 *
 * What is saved is two decodes of three, whatever the encoders do: a quarter of all where encoders are as quick as the preset
 * `veryfast`, and less the more each of them is given to do. So the claim says the preset, and `medium` is shown beside it.
 */
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { probeFile } from "../src/ffmpeg/probe.ts";
import { printArgs } from "../src/media/argv.ts";
import { ALLOWED_DEMUXERS } from "../src/media/input-formats.ts";
import { sampleLimits } from "../test/support/capabilities.ts";
import { compilePackage } from "../test/support/packages.ts";
import { bestRunner } from "../test/support/sandbox.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { makeClip } from "./lib/clips.ts";
import { programs, type Run, sha256OfFile, timeRun } from "./lib/programs.ts";
import { interleave } from "./lib/rounds.ts";
import { median } from "./lib/stats.ts";
import type { Claim } from "./lib/verdict.ts";

const SECONDS = 8;
const THREADS = 2;
const HEAD = ["-nostdin", "-hide_banner", "-nostats", "-v", "error", "-y"];
const CLAIMED = "veryfast";
const SHOWN = "medium";
const FILM_MEGABITS_PER_SECOND = 12;
const variantsAt = (preset: string) => [1_080, 720, 480].map((height) => ({ height, preset }));

async function makeFolder(folder: string, clip: string): Promise<string> {
  await mkdir(join(folder, "in"), { recursive: true });
  await mkdir(join(folder, "out/renditions"), { recursive: true });
  await symlink(clip, join(folder, "in/0"));
  return folder;
}

type ArgvOf = (variants: readonly object[], cwd: string, short?: boolean) => readonly string[];

interface Places {
  readonly together: string;
  readonly apart: readonly string[];
}

/** With one thread, because with more x264 meets a peak rate by what its threads happen to have done; and of a second. */
async function requireSameFiles({ together, apart }: Places, argvOf: ArgvOf): Promise<void> {
  const variants = variantsAt(CLAIMED);
  await timeRun(argvOf(variants, together, true), together);
  for (const [n, variant] of variants.entries()) {
    const cwd = apart[n] ?? "";
    await timeRun(argvOf([variant], cwd, true), cwd);
    const one = await sha256OfFile(join(together, `out/renditions/v${n}.mp4`));
    const other = await sha256OfFile(join(cwd, "out/renditions/v0.mp4"));
    if (one !== other) throw new Error(`Rung ${n} differs between the two ways.`);
  }
}

async function ladder({ folder, long, say }: BenchContext): Promise<Claim[]> {
  const clip = await makeClip({
    ...{ width: 1_920, height: 1_080, seconds: SECONDS, filmMegabitsPerSecond: FILM_MEGABITS_PER_SECOND },
  });
  const tools = { ffmpegPath: programs.ffmpeg, ffprobePath: programs.ffprobe };
  const media = await probeFile({
    ...{ runner: await bestRunner(), tools, file: clip, inputFormats: ALLOWED_DEMUXERS, limits: sampleLimits },
  });
  const places = {
    together: await makeFolder(join(folder, "together"), clip),
    apart: await Promise.all(variantsAt(CLAIMED).map((_, n) => makeFolder(join(folder, `apart-${n}`), clip))),
  };
  const argvOf = (variants: readonly object[], cwd: string, short = false): readonly string[] => {
    const part = short ? { threads: 1, before: [{ type: "trim", end: 1 }] } : { threads: THREADS };
    const { steps } = compilePackage([media], { stream: { variants, audio: [] }, ...part });
    const [encode] = steps;
    if (encode === undefined) throw new Error("The plan encodes nothing.");
    return [programs.ffmpeg, ...HEAD, ...printArgs(encode.args, cwd)];
  };
  const together = (preset: string): Promise<Run> =>
    timeRun(argvOf(variantsAt(preset), places.together), places.together);
  const apart = async (preset: string): Promise<Run> => {
    let [wallMs, cpuSeconds] = [0, 0];
    for (const [n, variant] of variantsAt(preset).entries()) {
      const cwd = places.apart[n] ?? "";
      const run = await timeRun(argvOf([variant], cwd), cwd);
      wallMs += run.wallMs;
      cpuSeconds += run.cpuSeconds;
    }
    return { wallMs, cpuSeconds };
  };
  await requireSameFiles(places, argvOf);
  say("the files of both ways are the same to the byte");
  const series = await interleave(
    { apart: () => apart(CLAIMED), together: () => together(CLAIMED), apartAgain: () => apart(CLAIMED) },
    { roundsMin: 3, roundsMax: long ? 20 : 5, budgetMs: long ? 1_200_000 : 150_000 },
  );
  const shown = { apart: await apart(SHOWN), together: await together(SHOWN) };
  const wall = (runs: readonly Run[]): number[] => runs.map(({ wallMs }) => wallMs);
  const cpu = (runs: readonly Run[]): number => median(runs.map(({ cpuSeconds }) => cpuSeconds));
  const common = { kind: "ratio", goal: "P2", baselineName: "three FFmpegs", bound: "most" } as const;
  return [
    {
      ...common,
      ...{ what: `1080p, 720p and 480p of ${SECONDS} s from one decode, ${CLAIMED}`, unit: "ms", limit: 0.78 },
      ...{ baseline: wall(series.apart), baselineAgain: wall(series.apartAgain), candidate: wall(series.together) },
      cpu: { baseline: cpu([...series.apart, ...series.apartAgain]), candidate: cpu(series.together) },
    },
    {
      ...common,
      ...{ what: "the same, CPU", unit: "s", limit: 0.8 },
      baseline: series.apart.map(({ cpuSeconds }) => cpuSeconds),
      baselineAgain: series.apartAgain.map(({ cpuSeconds }) => cpuSeconds),
      candidate: series.together.map(({ cpuSeconds }) => cpuSeconds),
    },
    {
      ...{ kind: "figure", goal: "P2", what: `the same with ${SHOWN}, CPU, once`, unit: "of three", limit: null },
      ...{ value: shown.together.cpuSeconds / shown.apart.cpuSeconds, isTime: false },
    },
  ];
}

export const ladderBench: Bench = {
  name: "ladder",
  what: "three renditions from one decode against an FFmpeg for each",
  run: ladder,
};

/**
 * P8, its input side: a job whose source comes over the web at 10 MB/s, against the same download and the same job on the
 * local file one after another, two stages of much the same length. The server's rate is of each answer, so that only what is
 * read in order is compared: a source with its index in front, and one with its index at the end, which is fetched first.
 */
import { copyFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { startWebServer } from "../test/support/web-server.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { completeJob } from "./lib/client.ts";
import { makeClip } from "./lib/clips.ts";
import { checkSameFilm } from "./lib/films.ts";
import { programs, timeRun } from "./lib/programs.ts";
import { interleave } from "./lib/rounds.ts";
import { median } from "./lib/stats.ts";
import { startSubject } from "./lib/subject.ts";
import type { Claim } from "./lib/verdict.ts";

const BYTES_PER_SECOND = 10_000_000;
/** At this rate the download takes 6 s, and with the preset below two free processors encode for about as long. */
const SECONDS = 30;
const MEGABITS_PER_SECOND = 16;

/** With the index in front, as anyone does who serves films. */
export async function withIndexInFront(clip: string, folder: string): Promise<string> {
  const made = join(folder, ".front.mp4");
  const path = join(folder, "front.mp4");
  const quiet = ["-nostdin", "-hide_banner", "-v", "error", "-y"];
  await timeRun([programs.ffmpegStatic, ...quiet, "-i", clip, "-c", "copy", "-movflags", "+faststart", made], folder);
  await rename(made, path);
  return path;
}

async function transfer({ folder, long, say }: BenchContext): Promise<Claim[]> {
  const clip = await makeClip({ width: 1280, height: 720, seconds: SECONDS, megabitsPerSecond: MEGABITS_PER_SECOND });
  const source = await withIndexInFront(clip, folder);
  await using web = await startWebServer();
  web.put("/in.mp4", { bytes: await Bun.file(source).bytes(), rate: BYTES_PER_SECOND });
  web.put("/late.mp4", { bytes: await Bun.file(clip).bytes(), rate: BYTES_PER_SECOND });
  const env = {
    ...{ FFMPEG_PATH: programs.ffmpeg, FFPROBE_PATH: programs.ffprobe },
    ALLOW_PRIVATE_NETWORKS: "127.0.0.1/32",
  };
  await using subject = await startSubject({ folder, env });
  await copyFile(source, join(subject.storage, "in.mp4"));
  const operations = [{ type: "transcode", video_codec: "h264", preset: "fast", height: 480, width: 854 }];
  const job = (input: string, output: string) => completeJob(subject, { input, output, operations });
  const download = async (): Promise<number> => {
    const startedAt = performance.now();
    await (await fetch(`${web.url}/in.mp4`)).bytes();
    return performance.now() - startedAt;
  };
  const apart = async (): Promise<Walls> => {
    const fetchedMs = await download();
    const { wallMs } = await job("in.mp4", "local.mp4");
    return { all: fetchedMs + wallMs, slowest: Math.max(fetchedMs, wallMs) };
  };
  const from = (name: string) => async (): Promise<Walls> => {
    const { wallMs } = await job(`${web.url}/${name}`, `remote-${name}`);
    return { all: wallMs, slowest: wallMs };
  };
  await job("in.mp4", "local.mp4");
  say(`${Math.round(Bun.file(source).size / 1e6)} MB at 10 MB/s`);
  const series = await interleave(
    { apart, together: from("in.mp4"), late: from("late.mp4"), apartAgain: apart },
    { roundsMin: 3, roundsMax: long ? 20 : 5, budgetMs: long ? 300_000 : 60_000 },
  );
  for (const name of ["remote-in.mp4", "remote-late.mp4"]) {
    await checkSameFilm(source, join(subject.storage, "local.mp4"), join(subject.storage, name));
  }
  return toClaims(series);
}

interface Walls {
  readonly all: number;
  readonly slowest: number;
}

const CANDIDATES = {
  together: "a job from the web, fetched while it is encoded",
  late: "the same, its index at its end",
} as const;

type Series = Readonly<Record<"apart" | "apartAgain" | keyof typeof CANDIDATES, readonly Walls[]>>;

function toClaims(series: Series): Claim[] {
  const all = (samples: readonly Walls[]): number[] => samples.map((one) => one.all);
  const slowest = [...series.apart, ...series.apartAgain].map((one) => one.slowest);
  return (["together", "late"] as const).flatMap((name): Claim[] => [
    {
      ...{ kind: "ratio", goal: "P8", what: CANDIDATES[name], unit: "ms" },
      baselineName: "download, then the job",
      baseline: all(series.apart),
      baselineAgain: all(series.apartAgain),
      candidate: all(series[name]),
      limit: 0.62,
      bound: "most",
    },
    {
      ...{ kind: "figure", goal: "P8", what: `${CANDIDATES[name]}, over its slowest stage`, unit: "x" },
      ...{ limit: 1.1, isTime: false },
      value: median(all(series[name])) / median(slowest),
    },
  ]);
}

export const transferBench: Bench = {
  name: "transfer",
  what: "a remote input encoded while it is fetched",
  run: transfer,
};

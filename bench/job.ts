/** P1: a job through the API, verified, against FFmpeg alone with the same arguments on the same file. */
import { copyFile, link, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { completeJob, dryRun } from "./lib/client.ts";
import { freshen, makeClip } from "./lib/clips.ts";
import { cpuOf } from "./lib/processes.ts";
import { programs, type Run, sha256OfFile, timeRun } from "./lib/programs.ts";
import { interleave, type RoundsOptions } from "./lib/rounds.ts";
import { median } from "./lib/stats.ts";
import { type Subject, startSubject } from "./lib/subject.ts";
import type { Claim } from "./lib/verdict.ts";

interface Case {
  readonly clip: string;
  readonly operations: readonly unknown[];
  readonly ffmpeg: string;
  readonly ffprobe: string;
  readonly rounds: RoundsOptions;
  /** Both run once before anything counts. */
  readonly warmsUp: boolean;
}

/** What step.ts puts before every plan's arguments. */
const ALWAYS = ["-nostdin", "-hide_banner", "-nostats", "-v", "error", "-progress", "pipe:1", "-y"];

async function makeBare(folder: string, { clip, ffmpeg }: Case, argv: readonly string[]) {
  const cwd = join(folder, "bare");
  await mkdir(join(cwd, "in"), { recursive: true });
  await mkdir(join(cwd, "out"));
  await symlink(clip, join(cwd, "in", "0"));
  return { output: join(cwd, "out", "0.mp4"), run: () => timeRun([ffmpeg, ...ALWAYS, ...argv], cwd) };
}

async function throughApi(subject: Subject, body: { readonly input_path: string }): Promise<Run> {
  await freshen(join(subject.storage, body.input_path));
  const before = cpuOf(subject.pid);
  const { wallMs } = await completeJob(subject, body);
  const after = cpuOf(subject.pid);
  return { wallMs, cpuSeconds: after.own + after.children - before.own - before.children };
}

async function measure(folder: string, one: Case) {
  const env = { FFMPEG_PATH: one.ffmpeg, FFPROBE_PATH: one.ffprobe };
  await using subject = await startSubject({ folder, env });
  const source = join(subject.storage, "in.mp4");
  await link(one.clip, source).catch(() => copyFile(one.clip, source));
  // As urgent as the bare one: what is nice waits for all else that runs on the machine.
  const body = { input_path: "in.mp4", output_path: "out.mp4", operations: one.operations, priority: "high" };
  const bare = await makeBare(folder, one, await dryRun(subject, body));
  if (one.warmsUp) {
    await bare.run();
    await completeJob(subject, body);
  }
  const samples = await interleave(
    { bare: () => bare.run(), api: () => throughApi(subject, body), bareAgain: () => bare.run() },
    one.rounds,
  );
  const [expected, made] = await Promise.all([
    sha256OfFile(bare.output),
    sha256OfFile(join(subject.storage, "out.mp4")),
  ]);
  if (expected !== made) throw new Error("The job's output differs from FFmpeg's own.");
  return samples;
}

const walls = (runs: readonly Run[]): number[] => runs.map(({ wallMs }) => wallMs);
const cpu = (runs: readonly Run[]): number => median(runs.map(({ cpuSeconds }) => cpuSeconds));

async function longJob({ folder, long, say }: BenchContext): Promise<Claim> {
  const clip = await makeClip({ width: 1920, height: 1080, seconds: 60 });
  say("60 s of 1080p");
  const { bare, bareAgain, api } = await measure(join(folder, "long"), {
    clip,
    // Long enough to be more than ten seconds, short enough to be measured several times.
    operations: [{ type: "transcode", video_codec: "h264", preset: "ultrafast", audio_codec: "aac" }],
    ffmpeg: programs.ffmpeg,
    ffprobe: programs.ffprobe,
    rounds: { roundsMin: 3, roundsMax: long ? 15 : 5, budgetMs: long ? 900_000 : 50_000 },
    warmsUp: false,
  });
  return {
    kind: "ratio",
    goal: "P1",
    what: "60 s of 1080p through the API, verified",
    baselineName: "bare FFmpeg",
    unit: "ms",
    baseline: walls(bare),
    baselineAgain: walls(bareAgain),
    candidate: walls(api),
    limit: 1.03,
    bound: "most",
    cpu: { baseline: cpu([...bare, ...bareAgain]), candidate: cpu(api) },
  };
}

async function tinyJob({ folder, long, say }: BenchContext, what: string, ffprobe: string, limit: number) {
  const clip = await makeClip({ width: 64, height: 48, seconds: 1 });
  say(`a tiny clip, ${what}`);
  const { bare, bareAgain, api } = await measure(join(folder, what.replaceAll(/\W+/g, "-")), {
    clip,
    operations: [{ type: "transcode", video_codec: "h264", preset: "ultrafast" }],
    ffmpeg: programs.ffmpeg,
    ffprobe,
    rounds: { roundsMin: 20, roundsMax: long ? 300 : 40, budgetMs: long ? 120_000 : 15_000 },
    warmsUp: true,
  });
  const alone = median([...walls(bare), ...walls(bareAgain)]);
  return {
    kind: "figure",
    goal: "P1",
    what: `tiny clip: beyond FFmpeg's own ${alone.toFixed(0)} ms, ${what}`,
    unit: "ms",
    value: median(walls(api)) - alone,
    limit,
    isTime: true,
  } satisfies Claim;
}

export const jobBench: Bench = {
  name: "job",
  what: "a job through the API against bare FFmpeg with the same arguments",
  run: async (context) => [
    await tinyJob(context, "static ffprobe", programs.ffprobeStatic, 50),
    await tinyJob(context, "Debian's ffprobe", programs.ffprobe, 160),
    await longJob(context),
  ],
};

/**
 * Jobs that run beside others. P9: a batch on two workers that have a processor each, against one. P11: an urgent job beside
 * a background one, against the same job alone. P12: jobs at once with threads planned by what else runs, against as many
 * with those that FFmpeg takes by itself.
 */
import { copyFile, link, mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { startRedis } from "../test/support/servers.ts";
import { until } from "../test/support/until.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { cancelJob, completeJob, createJob, getJob } from "./lib/client.ts";
import { freshen, makeClip } from "./lib/clips.ts";
import { startDurablePostgres } from "./lib/postgres.ts";
import { programs, timeRun } from "./lib/programs.ts";
import { interleave } from "./lib/rounds.ts";
import { median } from "./lib/stats.ts";
import { type Subject, startSubject } from "./lib/subject.ts";
import type { Claim, RatioClaim } from "./lib/verdict.ts";

const FFMPEG = (): Record<string, string> => ({
  FFMPEG_PATH: programs.ffmpeg,
  FFPROBE_PATH: programs.ffprobeStatic,
});
const CPUS = availableParallelism();
/** The last job of a batch leaves a worker idle for as long as a job takes: the longer the batch, the less that is of it. */
const BATCH = 8;
const BATCH_LONG = 16;
/** Runs take seconds, so that what comes and goes on a machine is little of them. */
const CLIP = { width: 1280, height: 720, seconds: 30 } as const;
const BUDGET_LONG_MS = 600_000;

const place = async (clip: string, { storage }: Pick<Subject, "storage">): Promise<void> => {
  const at = join(storage, "in.mp4");
  await link(clip, at).catch(() => copyFile(clip, at));
};

let made = 0;
const encode = (preset: string | undefined, priority: string) => ({
  ...{ input_path: "in.mp4", output_path: `out/${++made}.mp4`, priority },
  operations: [{ type: "transcode", video_codec: "h264", preset }],
});

async function allAtOnce(subject: Subject, count: number, preset?: string): Promise<number> {
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: count }, () => completeJob(subject, encode(preset, "normal"))));
  return performance.now() - startedAt;
}

/** FFmpeg with the very arguments of a job, but that decoders, filters and encoders take the threads that they take by themselves. */
async function writeAutomatic(folder: string): Promise<string> {
  const path = join(folder, "ffmpeg-automatic");
  const lines = [
    "#!/bin/sh",
    'for arg; do shift; case "$before" in -threads* | -filter*_threads) arg=0 ;; esac; before=$arg; set -- "$@" "$arg"; done',
    `exec '${programs.ffmpeg}' "$@"`,
  ];
  await writeFile(path, `${lines.join("\n")}\n`, { mode: 0o755 });
  return path;
}

async function threadsPlanned({ folder, long, say }: BenchContext, count: number): Promise<RatioClaim> {
  const clip = await makeClip({ ...CLIP, seconds: 12 });
  // In a sandbox there is no shell for the script.
  const env = { ...FFMPEG(), SANDBOX: "off", WORKER_CONCURRENCY: `${count}` };
  await using planned = await startSubject({ folder: join(folder, `planned-${count}`), env });
  const automatic = { ...env, FFMPEG_PATH: await writeAutomatic(folder) };
  await using unplanned = await startSubject({ folder: join(folder, `automatic-${count}`), env: automatic });
  for (const subject of [planned, unplanned]) await place(clip, subject);
  say(`${count} jobs at once`);
  // Jobs mostly have files that nobody has looked at yet.
  const run = (subject: Subject) => async () => {
    await freshen(join(subject.storage, "in.mp4"));
    // As a job is encoded that asks for no preset.
    return await allAtOnce(subject, count);
  };
  // The first job of a server finds its input and programs cold.
  for (const subject of [planned, unplanned]) await run(subject)();
  const series = await interleave(
    { automatic: run(unplanned), planned: run(planned), again: run(unplanned) },
    { roundsMin: 3, roundsMax: long ? 20 : 5, budgetMs: long ? BUDGET_LONG_MS : 20_000 },
  );
  return {
    ...{ kind: "ratio", goal: "P12", what: `${count} jobs at once, threads planned`, baselineName: "automatic" },
    ...{ unit: "ms", baseline: series.automatic, baselineAgain: series.again, candidate: series.planned },
    ...{ limit: 0.93, bound: "most" },
  };
}

async function besideBackground({ folder, long, say }: BenchContext): Promise<RatioClaim> {
  const clip = await makeClip(CLIP);
  const background = await makeClip({ width: 1920, height: 1080, seconds: 60 });
  const env = { ...FFMPEG(), WORKER_CONCURRENCY: "2" };
  await using subject = await startSubject({ folder: join(folder, "urgent"), env });
  await place(clip, subject);
  await copyFile(background, join(subject.storage, "background.mp4"));
  const urgent = async (): Promise<number> => (await completeJob(subject, encode("veryfast", "high"))).wallMs;
  const beside = async (): Promise<number> => {
    const { id } = await createJob(subject, { ...encode("veryslow", "low"), input_path: "background.mp4" });
    await until(async () => (await getJob(subject, id)).stage === "encoding", {
      ...{ timeoutMs: 30_000, what: "the background job to encode" },
    });
    const wallMs = await urgent();
    if ((await getJob(subject, id)).status !== "processing") throw new Error("The background job was too short.");
    await cancelJob(subject, id);
    // Only then its FFmpeg is gone, which the next run would have beside it.
    await until(async () => (await getJob(subject, id)).status === "cancelled", {
      ...{ timeoutMs: 30_000, what: "the background job to end" },
    });
    return wallMs;
  };
  await urgent();
  say("an urgent job beside a background one");
  const series = await interleave(
    { alone: urgent, beside, again: urgent },
    { roundsMin: 3, roundsMax: long ? 30 : 5, budgetMs: long ? BUDGET_LONG_MS : 40_000 },
  );
  return {
    ...{ kind: "ratio", goal: "P11", what: "an urgent job beside a background one", baselineName: "alone" },
    ...{ unit: "ms", baseline: series.alone, baselineAgain: series.again, candidate: series.beside },
    ...{ limit: 1.1, bound: "most" },
  };
}

const onCpu = (cpu: number): string[] => ["taskset", "-c", `${cpu}`];

/**
 * Keeps this process, and the servers that it starts, off the two processors that the workers have, where there are more.
 * Where there are not they take their share of both, which one worker alone leaves them on the other.
 */
function stayAside(): Disposable {
  const pin = (cpus: string): unknown => Bun.spawnSync(["taskset", "-acp", cpus, `${process.pid}`]);
  if (CPUS > 2) pin(`2-${CPUS - 1}`);
  return { [Symbol.dispose]: () => void (CPUS > 2 && pin(`0-${CPUS - 1}`)) };
}

/** How many times as much two FFmpegs do with a processor each as one: no more can come of workers on this machine. */
async function twoBare(clip: string, folder: string): Promise<Claim> {
  const encode = ["-nostdin", "-v", "error", "-i", clip, "-c:v", "libx264", "-preset", "veryfast", "-threads", "1"];
  const run = async (cpus: readonly number[]): Promise<number> => {
    const argv = (cpu: number) => [...onCpu(cpu), programs.ffmpeg, ...encode, "-f", "null", "-"];
    const runs = await Promise.all(cpus.map((cpu) => timeRun(argv(cpu), folder)));
    return cpus.length / Math.max(...runs.map(({ wallMs }) => wallMs));
  };
  const series = await interleave(
    { one: () => run([0]), two: () => run([0, 1]) },
    { roundsMin: 3, roundsMax: 3, budgetMs: 0 },
  );
  return {
    ...{ kind: "figure", goal: "P9", what: "bare FFmpeg on two processors against one", unit: "×", limit: null },
    ...{ value: median(series.two) / median(series.one), isTime: true },
  };
}

/** Jobs per second. */
async function twoWorkers({ folder, long, say }: BenchContext): Promise<Claim[]> {
  const clip = await makeClip({ width: 1280, height: 720, seconds: 10 });
  const bare = await twoBare(clip, folder);
  using _aside = stayAside();
  await using database = await startDurablePostgres(folder);
  await using redis = await startRedis(join(folder, "redis"));
  const shared = join(folder, "shared");
  await mkdir(shared);
  await place(clip, { storage: shared });
  const env = { ...FFMPEG(), DATABASE_URL: database.url, REDIS_URL: redis.url, STORAGE_PATH: shared };
  await using api = await startSubject({ folder: join(folder, "api"), env: { ...env, RENDIFF_ROLE: "api" } });
  const worker = (cpu: number): Promise<Subject> =>
    startSubject({
      ...{ folder: join(folder, `worker-${cpu}`), under: onCpu(cpu) },
      env: { ...env, RENDIFF_ROLE: "worker", WORKER_CONCURRENCY: "1" },
    });
  const count = long ? BATCH_LONG : BATCH;
  const batchOn = async (cpus: readonly number[]): Promise<number> => {
    await using stack = new AsyncDisposableStack();
    for (const cpu of cpus) stack.use(await worker(cpu));
    // Each worker's first job finds it cold.
    await allAtOnce(api, cpus.length, "ultrafast");
    return (count * 1_000) / (await allAtOnce(api, count, "veryfast"));
  };
  say("a batch on one worker and on two");
  const one = (): Promise<number> => batchOn([0]);
  const series = await interleave(
    { one, two: () => batchOn([0, 1]), again: one },
    { roundsMin: 3, roundsMax: long ? 9 : 3, budgetMs: long ? BUDGET_LONG_MS : 0 },
  );
  return [
    {
      ...{ kind: "ratio", goal: "P9", what: `a batch of ${count} on two workers`, baselineName: "one worker" },
      ...{ unit: "jobs/s", baseline: series.one, baselineAgain: series.again, candidate: series.two },
      ...{ limit: 1.9, bound: "least" },
    },
    bare,
  ];
}

export const urgentBench: Bench = {
  name: "urgent",
  what: "an urgent job beside a background one",
  run: async (context): Promise<Claim[]> => [await besideBackground(context)],
};

export const threadsBench: Bench = {
  name: "threads",
  what: "jobs at once, with threads planned by what else runs",
  run: async (context): Promise<Claim[]> => [await threadsPlanned(context, 2), await threadsPlanned(context, 4)],
};

export const pinnedBench: Bench = {
  name: "pinned",
  what: "two workers with a processor each against one",
  run: twoWorkers,
};

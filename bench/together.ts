/**
 * Jobs that run beside others. P9: a batch on two workers that have a processor each, against one. P11: an urgent job beside
 * a background one, against the same job alone. P12: jobs at once with threads planned by what else runs, against as many
 * with the number that x264 takes by itself.
 */
import { copyFile, link } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { startRedis } from "../test/support/servers.ts";
import { until } from "../test/support/until.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { cancelJob, completeJob, createJob, getJob } from "./lib/client.ts";
import { makeClip } from "./lib/clips.ts";
import { startDurablePostgres } from "./lib/postgres.ts";
import { programs } from "./lib/programs.ts";
import { interleave } from "./lib/rounds.ts";
import { type Subject, startSubject } from "./lib/subject.ts";
import type { Claim, RatioClaim } from "./lib/verdict.ts";

const FFMPEG = (): Record<string, string> => ({
  FFMPEG_PATH: programs.ffmpeg,
  FFPROBE_PATH: programs.ffprobeStatic,
});
const CPUS = availableParallelism();
/** What x264 takes when it is left to itself. */
const AUTOMATIC_THREADS = Math.ceil(1.5 * CPUS);
const BATCH = 8;

const place = async (clip: string, subject: Subject): Promise<void> => {
  const at = join(subject.storage, "in.mp4");
  await link(clip, at).catch(() => copyFile(clip, at));
};

let made = 0;
const encode = (preset: string, priority: string) => ({
  ...{ input_path: "in.mp4", output_path: `out/${++made}.mp4`, priority },
  operations: [{ type: "transcode", video_codec: "h264", preset }],
});

async function allAtOnce(subject: Subject, count: number, preset: string): Promise<number> {
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: count }, () => completeJob(subject, encode(preset, "normal"))));
  return performance.now() - startedAt;
}

async function threadsPlanned({ folder, long, say }: BenchContext, count: number): Promise<RatioClaim> {
  const clip = await makeClip({ width: 1280, height: 720, seconds: 10 });
  const env = { ...FFMPEG(), WORKER_CONCURRENCY: `${count}` };
  await using planned = await startSubject({ folder: join(folder, `planned-${count}`), env });
  const automatic = { ...env, FFMPEG_THREADS: `${AUTOMATIC_THREADS}` };
  await using unplanned = await startSubject({ folder: join(folder, `automatic-${count}`), env: automatic });
  for (const subject of [planned, unplanned]) await place(clip, subject);
  say(`${count} jobs at once`);
  const run = (subject: Subject) => () => allAtOnce(subject, count, "veryfast");
  const series = await interleave(
    { automatic: run(unplanned), planned: run(planned), again: run(unplanned) },
    { roundsMin: 3, roundsMax: long ? 20 : 5, budgetMs: long ? 300_000 : 20_000 },
  );
  return {
    ...{ kind: "ratio", goal: "P12", what: `${count} jobs at once, threads planned`, baselineName: "automatic" },
    ...{ unit: "ms", baseline: series.automatic, baselineAgain: series.again, candidate: series.planned },
    ...{ limit: 0.93, bound: "most" },
  };
}

async function besideBackground({ folder, long, say }: BenchContext): Promise<RatioClaim> {
  const clip = await makeClip({ width: 1280, height: 720, seconds: 5 });
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
    return wallMs;
  };
  say("an urgent job beside a background one");
  const series = await interleave(
    { alone: urgent, beside, again: urgent },
    { roundsMin: 3, roundsMax: long ? 30 : 7, budgetMs: long ? 300_000 : 40_000 },
  );
  return {
    ...{ kind: "ratio", goal: "P11", what: "an urgent job beside a background one", baselineName: "alone" },
    ...{ unit: "ms", baseline: series.alone, baselineAgain: series.again, candidate: series.beside },
    ...{ limit: 1.1, bound: "most" },
  };
}

/** Jobs per second. The API, Postgres and Redis run on the same processors, as they do on a small machine. */
async function twoWorkers({ folder, long, say }: BenchContext): Promise<RatioClaim> {
  const clip = await makeClip({ width: 1280, height: 720, seconds: 10 });
  await using database = await startDurablePostgres(folder);
  await using redis = await startRedis(join(folder, "redis"));
  const env = {
    ...FFMPEG(),
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    STORAGE_PATH: join(folder, "api/storage"),
  };
  await using api = await startSubject({ folder: join(folder, "api"), env: { ...env, RENDIFF_ROLE: "api" } });
  await place(clip, api);
  const worker = (cpu: number): Promise<Subject> =>
    startSubject({
      ...{ folder: join(folder, `worker-${cpu}`), under: ["taskset", "-c", `${cpu}`] },
      env: { ...env, RENDIFF_ROLE: "worker", WORKER_CONCURRENCY: "1" },
    });
  const batchOn = async (cpus: readonly number[]): Promise<number> => {
    await using stack = new AsyncDisposableStack();
    for (const cpu of cpus) stack.use(await worker(cpu));
    return BATCH / (await allAtOnce(api, BATCH, "veryfast"));
  };
  say("a batch on one worker and on two");
  const one = (): Promise<number> => batchOn([0]);
  const series = await interleave(
    { one, two: () => batchOn([0, 1]), again: one },
    { roundsMin: 3, roundsMax: long ? 15 : 3, budgetMs: long ? 300_000 : 0 },
  );
  const perSecond = (rates: readonly number[]): number[] => rates.map((rate) => rate * 1_000);
  return {
    ...{ kind: "ratio", goal: "P9", what: `a batch of ${BATCH} on two workers`, baselineName: "one worker" },
    ...{ unit: "jobs/s", baseline: perSecond(series.one), baselineAgain: perSecond(series.again) },
    ...{ candidate: perSecond(series.two), limit: 1.9, bound: "least" },
  };
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
  run: async (context): Promise<Claim[]> => [await twoWorkers(context)],
};

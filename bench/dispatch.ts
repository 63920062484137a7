/**
 * P4: from a job's commit to the start of FFmpeg on an idle worker, with programs that do nothing in FFmpeg's and ffprobe's
 * place, against BullMQ on a real Redis: from `add` to its processor, and to the start of the second of the same two
 * programs, which is what a service built on it would do.
 */
import { join } from "node:path";
import postgres from "postgres";
import { testEnv } from "../test/support/env.ts";
import { until } from "../test/support/until.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { type Bull, startBull } from "./lib/bull.ts";
import { createJob } from "./lib/client.ts";
import { freshen, makeClip } from "./lib/clips.ts";
import { startDurablePostgres } from "./lib/postgres.ts";
import { programs } from "./lib/programs.ts";
import { interleave } from "./lib/rounds.ts";
import { listenForStarts, type Starts, writeNoOp, writeReporting } from "./lib/stand-ins.ts";
import { median, p99 } from "./lib/stats.ts";
import { type Subject, startSubject } from "./lib/subject.ts";
import type { Claim } from "./lib/verdict.ts";

const SAMPLES_A_ROUND = 100;
const BODY = {
  input_path: "in.mp4",
  output_path: "out.mp4",
  operations: [{ type: "transcode", video_codec: "h264", preset: "ultrafast" }],
};

interface Sample {
  readonly spawned: number[];
  readonly claimed: number[];
  /** From the claim's commit to ffprobe, and from ffprobe to FFmpeg. */
  readonly probed: number[];
  readonly planned: number[];
}

const times = async (count: number, once: () => Promise<number>): Promise<number[]> => {
  const all: number[] = [];
  for (let index = 0; index < count; index++) all.push(await once());
  return all;
};

/** What ffprobe says of the clip, in the form that is asked of it. */
function probeAnswer(clip: string): string {
  const show = ["-v", "error", "-of", "json=compact=1", "-show_format", "-show_streams", "-show_chapters"];
  return Bun.spawnSync([programs.ffprobeStatic, ...show, clip]).stdout.toString();
}

/** One after another, each on an idle worker. */
async function dispatchJobs(subject: Subject, starts: Starts, sql: postgres.Sql): Promise<Sample> {
  const started = new Map<string, { readonly ffprobe: number; readonly ffmpeg: number }>();
  for (let index = 0; index < SAMPLES_A_ROUND; index++) {
    await freshen(join(subject.storage, "in.mp4"));
    const both = Promise.all([starts.next("ffprobe"), starts.next("ffmpeg")]);
    const { id } = await createJob(subject, BODY);
    const [ffprobe, ffmpeg] = await both;
    started.set(id, { ffprobe: ffprobe.atMs, ffmpeg: ffmpeg.atMs });
    const isFinal = async () => (await sql`SELECT 1 FROM jobs WHERE id = ${id} AND completed_at IS NOT NULL`).length;
    await until(isFinal, { intervalMs: 2, what: "a job to end" });
  }
  // A commit's time is taken just before it is written to the disk, so the writing counts as ours.
  const rows = await sql<{ id: string; created: string; claimed: string }[]>`
    SELECT c.job_id AS id, extract(epoch FROM pg_xact_commit_timestamp(c.xmin)) * 1000 AS created,
      extract(epoch FROM pg_xact_commit_timestamp(s.xmin)) * 1000 AS claimed
    FROM job_logs c JOIN job_logs s ON s.job_id = c.job_id AND s.seq = 2
    WHERE c.seq = 1 AND c.job_id = ANY (${[...started.keys()]}::uuid[])`;
  const timed = rows.flatMap(({ id, created, claimed }) => {
    const at = started.get(id);
    return at === undefined ? [] : [{ ...at, created: Number(created), claimed: Number(claimed) }];
  });
  return {
    spawned: timed.map(({ created, ffmpeg }) => ffmpeg - created),
    claimed: timed.map(({ created, claimed }) => claimed - created),
    probed: timed.map(({ claimed, ffprobe }) => ffprobe - claimed),
    planned: timed.map(({ ffprobe, ffmpeg }) => ffmpeg - ffprobe),
  };
}

async function startIdle(folder: string, starts: Starts, databaseUrl: string) {
  const clip = await makeClip({ width: 64, height: 48, seconds: 1 });
  const [ffmpeg, ffprobe] = [join(folder, "ffmpeg"), join(folder, "ffprobe")];
  // At its start the server tries what FFmpeg can do; only then do they stop doing it.
  await writeReporting(ffmpeg, "ffmpeg", programs.ffmpegStatic, starts.pipe);
  await writeReporting(ffprobe, "ffprobe", programs.ffprobeStatic, starts.pipe);
  const env = { DATABASE_URL: databaseUrl, SANDBOX: "off", FFMPEG_PATH: ffmpeg, FFPROBE_PATH: ffprobe };
  const subject = await startSubject({
    folder: join(folder, "server"),
    env: { ...env, MAX_ATTEMPTS: "1", LOG_LEVEL: "error" },
  });
  await Bun.write(join(subject.storage, "in.mp4"), Bun.file(clip));
  await writeNoOp(ffmpeg, "ffmpeg", "", starts.pipe);
  await writeNoOp(ffprobe, "ffprobe", probeAnswer(clip), starts.pipe);
  return { subject, ffmpeg, ffprobe };
}

interface Series {
  readonly rendiff: readonly Sample[];
  readonly bull: readonly number[][];
  readonly bullAgain: readonly number[][];
  readonly spawning: readonly number[][];
  readonly spawningAgain: readonly number[][];
}

function toClaims({ rendiff, bull, bullAgain, spawning, spawningAgain }: Series): Claim[] {
  const spawned = rendiff.flatMap((sample) => sample.spawned);
  const claimed = rendiff.flatMap((sample) => sample.claimed);
  const part = (name: keyof Sample): number => median(rendiff.flatMap((sample) => sample[name]));
  const figure = { kind: "figure", goal: "P4", unit: "ms", isTime: true } as const;
  const ratio = { kind: "ratio", goal: "P4", unit: "ms", limit: 1.3, bound: "most" } as const;
  return [
    { ...figure, what: "created → FFmpeg spawned, p50", value: median(spawned), limit: 5 },
    { ...figure, what: "created → FFmpeg spawned, p99", value: p99(spawned), limit: 20 },
    { ...figure, what: "of it, claimed → ffprobe spawned, p50", value: part("probed"), limit: null },
    { ...figure, what: "of it, ffprobe → FFmpeg spawned, p50", value: part("planned"), limit: null },
    {
      ...ratio,
      what: "created → FFmpeg spawned",
      baselineName: "BullMQ → same programs",
      baseline: spawning.flat(),
      baselineAgain: spawningAgain.flat(),
      candidate: spawned,
    },
    {
      ...ratio,
      what: "created → claimed",
      baselineName: "BullMQ → processor",
      baseline: bull.flat(),
      baselineAgain: bullAgain.flat(),
      candidate: claimed,
    },
  ];
}

async function dispatch({ folder, long }: BenchContext): Promise<Claim[]> {
  await using database = await startDurablePostgres(folder);
  await using starts = await listenForStarts(folder);
  const { subject, ffmpeg, ffprobe } = await startIdle(folder, starts, database.url);
  await using server = subject;
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  const common = { redisUrl: testEnv().redisUrl, pipe: starts.pipe };
  await using bare: Bull = await startBull({ ...common, queue: "bench-bare", programs: [] });
  await using spawning: Bull = await startBull({ ...common, queue: "bench-spawning", programs: [ffprobe, ffmpeg] });
  const bull = async () => times(SAMPLES_A_ROUND, () => bare.dispatch(starts, "processor"));
  const bullSpawns = async () => times(SAMPLES_A_ROUND, () => spawning.dispatch(starts, "ffmpeg"));
  await times(10, () => bare.dispatch(starts, "processor"));
  await times(10, () => spawning.dispatch(starts, "ffmpeg"));
  const samples = await interleave<Sample | number[], keyof Series>(
    {
      bull,
      spawning: bullSpawns,
      rendiff: () => dispatchJobs(server, starts, sql),
      bullAgain: bull,
      spawningAgain: bullSpawns,
    },
    { roundsMin: 10, roundsMax: long ? 30 : 10, budgetMs: 600_000 },
  );
  await sql.end();
  return toClaims(samples as unknown as Series);
}

export const dispatchBench: Bench = {
  name: "dispatch",
  what: "from a job's commit to FFmpeg's start, against BullMQ",
  run: dispatch,
};

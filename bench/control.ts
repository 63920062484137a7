/**
 * P14: what a job costs besides FFmpeg: SQL statements, as Postgres counts them, and the service's own CPU beside that of
 * the programs it started. P13: how often the input is probed.
 */
import { link, mkdir } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { until } from "../test/support/until.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { completeJob, createJob } from "./lib/client.ts";
import { makeClip } from "./lib/clips.ts";
import { startDurablePostgres } from "./lib/postgres.ts";
import { cpuOf } from "./lib/processes.ts";
import { programs } from "./lib/programs.ts";
import { listenForStarts, writeReporting } from "./lib/stand-ins.ts";
import { type Subject, startSubject } from "./lib/subject.ts";
import type { Claim } from "./lib/verdict.ts";

/** A tick is a third of it. The reconciler's rarest turn comes every twelve ticks. */
const LEASE_TTL = "3s";
/** Longer than the rarest turn: what runs in it is the worker's and the reconciler's, whoever has jobs. */
const IDLE_MS = 15_000;
const ROLE = "subject";

interface Statement {
  /** Of the parsed statement: its text is kept with its constants or without, depending on when it was first seen. */
  readonly id: string;
  readonly query: string;
  readonly calls: number;
}

const statements = (sql: postgres.Sql): Promise<Statement[]> =>
  sql<Statement[]>`
    SELECT s.queryid::text AS id, s.query, s.calls::integer AS calls FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
    WHERE r.rolname = ${ROLE}`;

const reset = (sql: postgres.Sql) => sql`SELECT pg_stat_statements_reset()`;

/** Watched in the database, so that watching it is no statement of the server's. */
async function runJobs(subject: Subject, sql: postgres.Sql, body: unknown, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const { id } = await createJob(subject, body);
    const ended = async () =>
      (
        await sql<{ status: string }[]>`SELECT status FROM jobs
      WHERE id = ${id} AND completed_at IS NOT NULL`
      )[0]?.status;
    const status = await until(ended, { timeoutMs: 120_000, intervalMs: 5, what: "a job to end" });
    if (status !== "completed") throw new Error(`A job ${status}.`);
  }
}

async function statementsPerJob(sql: postgres.Sql, idle: ReadonlySet<string>, count: number) {
  const own = (await statements(sql)).filter(({ id }) => !idle.has(id));
  return own.reduce((sum, { calls }) => sum + calls, 0) / count;
}

const encode = (output: string) => ({
  input_path: "in.mp4",
  output_path: output,
  operations: [
    { type: "transcode", video_codec: "h264", preset: "veryfast" },
    { type: "thumbnail", mode: "multiple", count: 3, width: 160 },
  ],
});

async function inDatabase({ folder, long, say }: BenchContext): Promise<Claim[]> {
  await using database = await startDurablePostgres(folder);
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  await sql.unsafe(`CREATE EXTENSION pg_stat_statements; CREATE ROLE ${ROLE} SUPERUSER LOGIN`);
  const url = new URL(database.url);
  url.username = ROLE;
  const tools = { FFMPEG_PATH: programs.ffmpegStatic, FFPROBE_PATH: programs.ffprobeStatic };
  const env = { DATABASE_URL: url.href, LEASE_TTL, ...tools };
  await using subject = await startSubject({ folder: join(folder, "server"), env });
  await Bun.write(join(subject.storage, "tiny.mp4"), Bun.file(await makeClip({ width: 64, height: 48, seconds: 1 })));
  await Bun.write(join(subject.storage, "in.mp4"), Bun.file(await makeClip({ width: 1280, height: 720, seconds: 60 })));
  const tiny = { ...encode("tiny-out.mp4"), input_path: "tiny.mp4" };
  await runJobs(subject, sql, tiny, 1);
  say("idle");
  await reset(sql);
  await Bun.sleep(IDLE_MS);
  const idle = new Set((await statements(sql)).map(({ id }) => id));
  await reset(sql);
  await runJobs(subject, sql, tiny, 10);
  const perTinyJob = await statementsPerJob(sql, idle, 10);
  const longJobs = long ? 10 : 2;
  say("encodes");
  await reset(sql);
  await runJobs(subject, sql, encode("out.mp4"), longJobs);
  const perLongJob = await statementsPerJob(sql, idle, longJobs);
  for (const { id, query, calls } of await statements(sql)) {
    if (!idle.has(id)) say(`${calls / longJobs} × ${query.replaceAll(/\s+/g, " ").trim().slice(0, 90)}`);
  }
  await sql.end();
  const figure = { kind: "figure", goal: "P14", isTime: false } as const;
  return [
    { ...figure, what: "SQL statements of a tiny job", unit: "", value: perTinyJob, limit: 12 },
    { ...figure, what: "SQL statements of a minute of 720p", unit: "", value: perLongJob, limit: 12 },
  ];
}

/** With the settings that are the default: a heartbeat ten times as often is nobody's. */
async function cpuShare({ folder, long }: BenchContext): Promise<Claim> {
  const own = join(folder, "defaults");
  await mkdir(own, { mode: 0o711 });
  await using database = await startDurablePostgres(own);
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  const env = { DATABASE_URL: database.url, FFMPEG_PATH: programs.ffmpegStatic, FFPROBE_PATH: programs.ffprobeStatic };
  await using subject = await startSubject({ folder: join(own, "server"), env });
  await Bun.write(join(subject.storage, "tiny.mp4"), Bun.file(await makeClip({ width: 64, height: 48, seconds: 1 })));
  await Bun.write(join(subject.storage, "in.mp4"), Bun.file(await makeClip({ width: 1280, height: 720, seconds: 60 })));
  await runJobs(subject, sql, { ...encode("tiny-out.mp4"), input_path: "tiny.mp4" }, 3);
  const before = cpuOf(subject.pid);
  await runJobs(subject, sql, encode("out.mp4"), long ? 10 : 2);
  const after = cpuOf(subject.pid);
  await sql.end();
  return {
    ...{ kind: "figure", goal: "P14", isTime: false, limit: 1 },
    what: "the service's CPU over jobs of a minute of 720p, as a share of FFmpeg's",
    unit: "%",
    value: (100 * (after.own - before.own)) / (after.children - before.children),
  };
}

async function probes({ folder }: BenchContext): Promise<Claim> {
  await using starts = await listenForStarts(folder);
  const ffprobe = join(folder, "ffprobe");
  await writeReporting(ffprobe, "ffprobe", programs.ffprobeStatic, starts.pipe);
  const env = { SANDBOX: "off", FFMPEG_PATH: programs.ffmpegStatic, FFPROBE_PATH: ffprobe };
  await using subject = await startSubject({ folder: join(folder, "embedded"), env });
  const clip = await makeClip({ width: 64, height: 48, seconds: 1 });
  await link(clip, join(subject.storage, "in.mp4")).catch(() =>
    Bun.write(join(subject.storage, "in.mp4"), Bun.file(clip)),
  );
  starts.all.length = 0;
  await completeJob(subject, encode("out.mp4"));
  // Outputs are verified in the work folder's `out`; what else is probed is the input, where it lies or in `in`.
  const ofInput = starts.all.filter(({ args }) => !/file:\S*\/out\//.test(args));
  return {
    kind: "figure",
    goal: "P13",
    what: "probes of the input of a job of several steps",
    unit: "",
    value: ofInput.length,
    limit: 1,
    isTime: false,
  };
}

export const controlBench: Bench = {
  name: "control",
  what: "what a job costs besides FFmpeg: statements, CPU, probes",
  run: async (context) => [await probes(context), ...(await inDatabase(context)), await cpuShare(context)],
};

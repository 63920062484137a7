/**
 * P7: live events through an API replica and Redis, from when a worker tells what FFmpeg has printed to when a client has it.
 * The clients are processes of their own; on a small machine their time is part of what is measured.
 */
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { names } from "../src/coordination/ports.ts";
import { openRedisCoordination, type RedisCoordination } from "../src/coordination/redis/redis.ts";
import { publishProgress, toProgressFields } from "../src/events/messages.ts";
import type { JobId, LiveProgress } from "../src/jobs/types.ts";
import { startRedis } from "../test/support/servers.ts";
import { until } from "../test/support/until.ts";
import type { Bench, BenchContext } from "./lib/bench.ts";
import { createJob } from "./lib/client.ts";
import { startDurablePostgres } from "./lib/postgres.ts";
import { cpuOf, residentMiB } from "./lib/processes.ts";
import { epochMs } from "./lib/stand-ins.ts";
import { median, p99 } from "./lib/stats.ts";
import { ADMIN_KEY, type Subject, startSubject } from "./lib/subject.ts";
import type { Claim } from "./lib/verdict.ts";
import type { Listened, ListenOptions } from "./workers/listen.ts";

const SOCKETS = 5_000;
const EARLY = 500;
const JOBS = 500;
const PROCESSES = 2;
/** FFmpeg reports twice a second. */
const REPORTS_A_SECOND = 2;
const STEP_MS = 4;
const BURSTS = 20;
const SETTLE_MS = 3_000;
const REST_LOOKS = 20;
const REST_LOOK_MS = 500;
const PROGRESS_TTL_MS = 60_000;

/** As the recorder of an attempt does. */
async function tell({ bus, cache }: RedisCoordination, jobId: string): Promise<void> {
  const progress: LiveProgress = {
    ...{ jobId: jobId as JobId, stage: "encoding", progress: 50, fps: 25, speed: 1, etaSeconds: epochMs() },
  };
  await Promise.all([
    publishProgress(bus, progress),
    cache.setFields(names.progress(jobId), toProgressFields(progress), PROGRESS_TTL_MS),
  ]);
}

/** The least of a while: a burst of requests leaves garbage, which is collected when there is time. */
async function restingMiB(pid: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < REST_LOOKS; look++) {
    await Bun.sleep(REST_LOOK_MS);
    least = Math.min(least, residentMiB(pid));
  }
  return least;
}

interface Clients extends AsyncDisposable {
  readonly pids: readonly number[];
  /** What came since the last report, of each process, or of those that are named. */
  report(processes?: readonly number[]): Promise<number[][]>;
}

function startOne(options: ListenOptions) {
  const script = resolve("bench/workers/listen.ts");
  const child = Bun.spawn([process.execPath, script, JSON.stringify(options)], {
    ...{ stdin: "pipe", stdout: "pipe", stderr: "inherit" },
  });
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const nextLine = async (): Promise<string> => {
    while (!text.includes("\n")) {
      const { value, done } = await lines.read();
      if (done) throw new Error("A process of clients has ended.");
      text += value;
    }
    const end = text.indexOf("\n");
    const line = text.slice(0, end);
    text = text.slice(end + 1);
    return line;
  };
  return { child, nextLine };
}

async function startClients(subject: Subject, jobs: readonly string[], sockets: number): Promise<Clients> {
  const urls = jobs.map((id) => `${subject.url.replace("http", "ws")}/api/v1/jobs/${id}/ws`);
  const all = Array.from({ length: PROCESSES }, () => startOne({ urls, key: ADMIN_KEY, sockets: sockets / PROCESSES }));
  for (const { nextLine } of all) if ((await nextLine()) !== "ready") throw new Error("The clients did not connect.");
  return {
    pids: all.map(({ child }) => child.pid),
    async report(processes = all.keys().toArray()) {
      return await Promise.all(
        processes.map(async (index) => {
          const one = all[index];
          if (one === undefined) throw new Error("There is no such process.");
          one.child.stdin.write("report\n");
          await one.child.stdin.flush();
          return [...(JSON.parse(await one.nextLine()) as Listened).latenciesMs];
        }),
      );
    },
    async [Symbol.asyncDispose]() {
      for (const { child } of all) child.kill("SIGKILL");
      await Promise.all(all.map(({ child }) => child.exited));
    },
  };
}

/** All jobs report at their pace, each in its own moment. */
async function steadily(coordination: RedisCoordination, jobs: readonly string[], durationMs: number): Promise<number> {
  const startedAtMs = performance.now();
  const told: Promise<void>[] = [];
  const total = Math.floor((jobs.length * REPORTS_A_SECOND * durationMs) / 1_000);
  while (told.length < total) {
    const due = Math.min(total, ((performance.now() - startedAtMs) / 1_000) * jobs.length * REPORTS_A_SECOND);
    while (told.length < due) told.push(tell(coordination, jobs[told.length % jobs.length] ?? ""));
    await Bun.sleep(STEP_MS);
  }
  await Promise.all(told);
  return total;
}

/** Milliseconds until the last client had it, burst by burst; only the clients of `processes` are asked. */
async function bursts(
  coordination: RedisCoordination,
  clients: Clients,
  jobId: string,
  processes: readonly number[],
): Promise<number[]> {
  const expected = (SOCKETS / PROCESSES) * processes.length;
  const lastMs: number[] = [];
  for (let burst = 0; burst < BURSTS; burst++) {
    const came: number[] = [];
    await tell(coordination, jobId);
    await until(
      async () => {
        came.push(...(await clients.report(processes)).flat());
        return came.length >= expected;
      },
      { timeoutMs: 20_000, intervalMs: 200, what: `${expected} clients to hear of it` },
    );
    lastMs.push(Math.max(...came));
  }
  return lastMs;
}

const figure = { kind: "figure", goal: "P7" } as const;

const cpuSeconds = (server: Subject, clients: Clients) => ({
  server: cpuOf(server.pid).own,
  clients: clients.pids.reduce((sum, pid) => sum + cpuOf(pid).own, 0),
});

async function many(subject: Subject, coordination: RedisCoordination, jobs: readonly string[], long: boolean) {
  // What the first ones make the server load and compile is there once, however many come after them.
  const early = await startClients(subject, jobs, EARLY);
  const before = await restingMiB(subject.pid);
  await using clients = await startClients(subject, jobs, SOCKETS);
  const socketKiB = (((await restingMiB(subject.pid)) - before) * 1_024) / SOCKETS;
  await early[Symbol.asyncDispose]();
  await steadily(coordination, jobs, 2_000);
  await Bun.sleep(SETTLE_MS);
  await clients.report();
  const cpuBefore = cpuSeconds(subject, clients);
  const told = await steadily(coordination, jobs, long ? 60_000 : 10_000);
  await Bun.sleep(SETTLE_MS);
  const cpuAfter = cpuSeconds(subject, clients);
  const latenciesMs = (await clients.report()).flat();
  const expected = told * (SOCKETS / JOBS);
  const usOf = (who: "server" | "clients"): number => ((cpuAfter[who] - cpuBefore[who]) * 1e6) / latenciesMs.length;
  const cpu = { ...figure, unit: "µs", limit: null, isTime: true } as const;
  return [
    { ...figure, what: "told → client, p50", unit: "ms", value: median(latenciesMs), limit: null, isTime: true },
    {
      ...figure,
      what: `told → client, p99, ${SOCKETS} sockets on ${JOBS} jobs`,
      ...{ unit: "ms", value: p99(latenciesMs), limit: 10, isTime: true },
    },
    { ...figure, what: "memory of a socket", unit: "KiB", value: socketKiB, limit: 10, isTime: false },
    { ...cpu, what: "the server's CPU for a message to a socket", value: usOf("server") },
    { ...cpu, what: "the clients' CPU for it", value: usOf("clients") },
    {
      ...figure,
      what: "progress that was overtaken by newer before it was sent",
      ...{ unit: "%", value: 100 * (1 - latenciesMs.length / expected), limit: null, isTime: false },
    },
  ] satisfies Claim[];
}

async function one(subject: Subject, coordination: RedisCoordination, jobId: string): Promise<Claim[]> {
  await using clients = await startClients(subject, [jobId], SOCKETS);
  await tell(coordination, jobId);
  await Bun.sleep(SETTLE_MS);
  await clients.report();
  const whole = await bursts(coordination, clients, jobId, [0, 1]);
  const [frozen] = clients.pids.slice(-1);
  process.kill(frozen ?? 0, "SIGSTOP");
  const half = await bursts(coordination, clients, jobId, [0]);
  process.kill(frozen ?? 0, "SIGCONT");
  return [
    {
      ...figure,
      what: `a burst to ${SOCKETS} sockets on one job, the last of them`,
      ...{ unit: "ms", value: median(whole), limit: 120, isTime: true },
    },
    { ...figure, what: "the worst of such bursts", unit: "ms", value: Math.max(...whole), limit: null, isTime: true },
    {
      ...figure,
      what: "the last of half of them while the others read nothing",
      ...{ unit: "ms", value: median(half), limit: 120, isTime: true },
    },
  ];
}

async function live({ folder, long, say }: BenchContext): Promise<Claim[]> {
  await using database = await startDurablePostgres(folder);
  await using redis = await startRedis(join(folder, "redis"));
  const shared = join(folder, "shared");
  await mkdir(shared);
  await using subject = await startSubject({
    folder: join(folder, "api"),
    env: { DATABASE_URL: database.url, REDIS_URL: redis.url, RENDIFF_ROLE: "api", STORAGE_PATH: shared },
  });
  const jobs: string[] = [];
  // Nobody runs them.
  for (let index = 0; index <= JOBS; index++) {
    jobs.push((await createJob(subject, { input_path: "in.mp4", output_path: `${index}.mp4`, operations: [] })).id);
  }
  const [only = "", ...rest] = jobs;
  const coordination = await openRedisCoordination({ url: redis.url, prefix: "{rendiff}:" });
  try {
    const claims = await many(subject, coordination, rest, long);
    say(`${SOCKETS} sockets connected and asked`);
    return [...claims, ...(await one(subject, coordination, only))];
  } finally {
    await coordination.close();
  }
}

export const liveBench: Bench = {
  name: "live",
  what: "progress to thousands of WebSocket clients",
  run: live,
};

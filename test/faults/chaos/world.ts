/**
 * What chaos happens to: a Postgres and a Redis of its own, replicas as processes, and one shared folder of storage.
 * FFmpeg is real or has a stand-in for the encode alone, which takes its time; probes, transfer, verification and
 * publishing are the real ones either way.
 */
import { chmod, copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { type Api, makeApi } from "../../support/api.ts";
import { testEnv } from "../../support/env.ts";
import { makeClip } from "../../support/media.ts";
import { type Relay, startRelay } from "../../support/relay.ts";
import { makeKey, type RunningServer, type Site, startServer } from "../../support/server.ts";
import { startPostgres, startRedis, type TestServer } from "../../support/servers.ts";
import { until } from "../../support/until.ts";
import { makeFolderStored, type Stored, startS3Stored } from "./stored.ts";

export interface WorldOptions {
  /** Exists; an absolute path. */
  readonly folder: string;
  readonly workers: number;
  readonly apis: number;
  readonly leaseTtlMs: number;
  /** How long the stand-in encodes, at most and at least half as long; null: real FFmpeg. */
  readonly encodeMsMax: number | null;
  /** How long Postgres is away when it is away for long; default 4 s. */
  readonly outageMs?: number;
  /** Where the outputs go; default: the shared folder, where the input is. */
  readonly store?: "folder" | "s3";
  /** Settings of all replicas, over those that chaos has. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A place for a replica, which is started in it again whenever it has ended. */
export interface Replica {
  readonly role: "worker" | "api";
  /** Its own files, `tempDir` among them. */
  readonly home: string;
  readonly tempDir: string;
  readonly server: RunningServer | null;
  /**
   * Until it is started again, nobody else starts it. With the words of another build, or around the one under test, those
   * are started; `env` is for this start alone.
   */
  start(program?: readonly string[], env?: Readonly<Record<string, string>>): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM; the exit code. */
  stop(): Promise<number | null>;
  /** Of the worker in this process, from its log; null when it has none. */
  workerId(): Promise<string | null>;
}

export interface World extends AsyncDisposable {
  readonly site: Site;
  readonly key: string;
  readonly stored: Stored;
  readonly database: TestServer;
  readonly redis: TestServer;
  /** Between Redis and every other replica of a role. */
  readonly relay: Relay;
  readonly replicas: readonly Replica[];
  readonly leaseTtlMs: number;
  readonly outageMs: number;
  /** A client of a replica that may be down. */
  api(number: number): Api;
  rows(): postgres.Sql;
}

const OUTAGE_MS = 4_000;
const DURABLE = { full_page_writes: "on", synchronous_commit: "on" };
export const INPUT = "in.mp4";
const ENCODE = [
  "-c:v",
  "libx264",
  "-preset",
  "ultrafast",
  "-pix_fmt",
  "yuv420p",
  "-c:a",
  "aac",
  "-movflags",
  "+faststart",
];

/** Everything but the encode of a job goes to the real program. */
async function writeStandIn(folder: string, clip: string, encodeMsMax: number): Promise<string> {
  const encoded = join(folder, "encoded.mp4");
  const { exitCode, stderr } = Bun.spawnSync([testEnv().ffmpeg, "-v", "error", "-i", clip, ...ENCODE, encoded]);
  if (exitCode !== 0) throw new Error(`The stand-in's output could not be made: ${stderr}`);
  const path = join(folder, "ffmpeg");
  const lines = [
    "#!/bin/sh",
    `case "$*" in *in/0*libx264*) ;; *) exec ${testEnv().ffmpeg} "$@" ;; esac`,
    'for last in "$@"; do :; done',
    'printf "frame=1\\nout_time_us=40000\\nprogress=continue\\n"',
    `sleep "$(awk 'BEGIN { srand(); print (1 + rand()) * ${encodeMsMax / 2000} }')"`,
    `cp ${encoded} "\${last#file:}"`,
    'printf "frame=25\\nout_time_us=1000000\\nprogress=end\\n"',
  ];
  await Bun.write(path, `${lines.join("\n")}\n`);
  await chmod(path, 0o755);
  return path;
}

function makeReplica(site: Site, role: Replica["role"], number: number, relay: Relay): Replica {
  const home = join(site.folder, `${role}-${number}`);
  const tempDir = join(home, "tmp");
  const redis = number % 2 === 0 ? {} : { REDIS_URL: `redis://127.0.0.1:${relay.port}` };
  let server: RunningServer | null = null;
  return {
    ...{ role, home, tempDir },
    get server() {
      return server;
    },
    async start(program, env) {
      await mkdir(tempDir, { recursive: true });
      const own = { RENDIFF_ROLE: role, DATA_DIR: home, TEMP_STORAGE: tempDir, ...redis };
      server = await startServer(site, { ...own, ...env }, program);
    },
    async kill() {
      const dying = server;
      server = null;
      await dying?.kill();
    },
    async stop() {
      const ending = server;
      server = null;
      return (await ending?.stop()) ?? null;
    },
    async workerId() {
      const lines = ((await server?.log()) ?? "").split("\n").filter((line) => line.includes("the worker takes jobs"));
      const last = lines.at(-1);
      if (last === undefined) return null;
      const { worker_id: id } = JSON.parse(last) as { worker_id?: string };
      if (id === undefined) throw new Error(`The log does not say who the worker is: ${last}`);
      return id;
    },
  };
}

async function makeChaosSite(options: WorldOptions, databaseUrl: string, redisUrl: string): Promise<Site> {
  const { folder, leaseTtlMs, encodeMsMax } = options;
  const [storage, dataDir] = [join(folder, "storage"), join(folder, "data")];
  await mkdir(storage, { recursive: true });
  const clip = await makeClip({ durationSeconds: 1, video: { width: 64, height: 48 } });
  await copyFile(clip, join(storage, INPUT));
  const ffmpeg = encodeMsMax === null ? testEnv().ffmpeg : await writeStandIn(folder, clip, encodeMsMax);
  return {
    ...{ folder, dataDir, storage, tempDir: join(dataDir, "tmp"), profile: "cluster" },
    env: {
      ...{ RENDIFF_ENV: "test", DATA_DIR: dataDir, STORAGE_PATH: storage, LOG_FORMAT: "json", API_HOST: "127.0.0.1" },
      ...{ DATABASE_URL: databaseUrl, DATABASE_POOL: "6", REDIS_URL: redisUrl, SANDBOX: "off" },
      ...{ FFMPEG_PATH: ffmpeg, FFPROBE_PATH: testEnv().ffprobeStatic, WORKER_CONCURRENCY: "3" },
      ...{ LEASE_TTL: `${leaseTtlMs}ms`, DRAIN_DELAY: "0s", DRAIN_TIMEOUT: "2s", POISON_AFTER: "50" },
      ...{ MAX_ATTEMPTS: "50", RATE_LIMIT: "1000000/min", ADDRESS_RATE_LIMIT: "1000000/min" },
      ...options.env,
    },
  };
}

/** Everything is running and ready. */
export async function makeWorld(options: WorldOptions): Promise<World> {
  const { folder, leaseTtlMs, outageMs = OUTAGE_MS } = options;
  // Postgres runs as another user and has its folder in here.
  await chmod(folder, 0o711);
  const [database, redis] = await Promise.all([
    // What was acknowledged must survive the immediate restart, which kills no operating system.
    startPostgres(join(folder, "postgres"), { ...DURABLE, max_connections: "60" }),
    startRedis(join(folder, "redis")),
  ]);
  const { stored, env } =
    options.store === "s3" ? await startS3Stored(folder) : makeFolderStored(join(folder, "storage"));
  const made = await makeChaosSite(options, database.url, redis.url);
  const site = { ...made, env: { ...made.env, ...env } };
  const key = await makeKey(site);
  const relay = startRelay(redis.port);
  const replicas = [
    ...Array.from({ length: options.workers }, (_, number) => makeReplica(site, "worker", number, relay)),
    ...Array.from({ length: options.apis }, (_, number) => makeReplica(site, "api", number, relay)),
  ];
  await Promise.all(replicas.map((replica) => replica.start()));
  const rows = postgres(database.url, { max: 2, onnotice: () => {}, connect_timeout: 5 });
  const apis = replicas.filter(({ role }) => role === "api");
  return {
    ...{ site, key, stored, database, redis, relay, replicas, leaseTtlMs, outageMs },
    api: (number) => makeApi(apis[number % apis.length]?.server?.url ?? "http://127.0.0.1:9", key),
    rows: () => rows,
    async [Symbol.asyncDispose]() {
      await Promise.all(replicas.map((replica) => replica.kill()));
      relay.stop();
      await rows.end({ timeout: 1 }).catch(() => {});
      await Promise.all([database.stop(), redis.stop()]);
    },
  };
}

/** Postgres answers, which it may not for a while after a fault. */
export const untilRows = (world: World): Promise<true> =>
  until(() => world.rows()`SELECT 1`.then(() => true as const), { timeoutMs: 60_000, what: "Postgres to answer" });

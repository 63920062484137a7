/**
 * Alerts fired by their faults: real servers, a real Prometheus with the rules as they are deployed, and what breaks is
 * really broken. Each is quiet again once its cause is mended.
 *
 * One that fires at once runs always, under a Prometheus that looks each second. The others last as long as their own
 * windows and durations, so they run with `--long`, under one that scrapes and looks as often as `deploy/` says.
 */
import { describe, expect, test } from "bun:test";
import { copyFile, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Api, makeApi } from "../support/api.ts";
import { afterFile } from "../support/cleanup.ts";
import { testEnv } from "../support/env.ts";
import { makeClip } from "../support/media.ts";
import { type Prometheus, startPrometheus } from "../support/prometheus.ts";
import { makeKey, makeSite, type RunningServer, type Site, startServer } from "../support/server.ts";
import { freePort, startPostgres, startRedis, type TestServer } from "../support/servers.ts";
import { ACCESS_KEY, startStore } from "../support/stores.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { startTraefik } from "../support/traefik.ts";
import { until } from "../support/until.ts";

const MINUTE_MS = 60_000;
const SLOTS = 4;
const NO_FFMPEG = { FFMPEG_PATH: "/none", FFPROBE_PATH: "/none" };

const quick = (output: string, more: object = {}) => ({
  ...{ input: "in.mp4", output, ...more },
  operations: [{ type: "transcode", video_codec: "vp8", width: 64, height: 48, audio_codec: "none" }],
});
/** Runs for minutes, until it is cancelled. */
const endless = (output: string) => ({
  ...{ input: "slow.mp4", output },
  operations: [{ type: "transcode", video_codec: "h265", preset: "veryslow", crf: 1, width: 1920, height: 1440 }],
});

async function fillSite(site: Site): Promise<void> {
  await copyFile(await makeClip({ durationSeconds: 1 }), join(site.storage, "in.mp4"));
  const slow = await makeClip({ durationSeconds: 12, video: { width: 640, height: 480 } });
  await copyFile(slow, join(site.storage, "slow.mp4"));
}

const startWorker = (site: Site, port: number): Promise<RunningServer> =>
  startServer(site, { RENDIFF_ROLE: "worker", API_PORT: `${port}` });

const startApi = (site: Site, port: number, dataDir: string): Promise<RunningServer> =>
  startServer(site, { RENDIFF_ROLE: "api", ...NO_FFMPEG, API_PORT: `${port}`, DATA_DIR: dataDir });

async function runEndless(api: Api, count: number): Promise<string[]> {
  const jobs = await Promise.all(
    Array.from({ length: count }, (_, index) => api.convert(endless(`slow-${index}.mp4`))),
  );
  const isRunning = async (id: string): Promise<boolean> => (await api.job(id)).stage === "encoding";
  await until(async () => (await Promise.all(jobs.map(({ id }) => isRunning(id)))).every(Boolean), {
    ...{ timeoutMs: MINUTE_MS, intervalMs: 100 },
  });
  return jobs.map(({ id }) => id);
}

const cancelAll = async (api: Api, ids: readonly string[]): Promise<void> => {
  await Promise.all(ids.map((id) => api.call("DELETE", `/jobs/${id}`)));
};

/** Resolves when these fire, or when they do not any more. */
async function untilAlerts(
  prometheus: Prometheus,
  names: readonly string[],
  { fire, withinMs }: { readonly fire: boolean; readonly withinMs: number },
): Promise<void> {
  let wrong: readonly string[] = names;
  const startedAtMs = performance.now();
  await until(
    async () => {
      const firing = await prometheus.firing();
      wrong = names.filter((name) => firing.has(name) !== fire);
      return wrong.length === 0;
    },
    { timeoutMs: withinMs, intervalMs: 500 },
  ).catch(() => {
    throw new Error(`After ${withinMs} ms ${fire ? "did not fire" : "still fire"}: ${wrong.join(", ")}`);
  });
  const seconds = Math.round((performance.now() - startedAtMs) / 1000);
  console.log(`${fire ? "fire" : "are quiet"} after ${seconds} s: ${names.join(", ")}`);
}

/** Resolves when Prometheus has seen this process and not only its address. */
const untilScraped = async (prometheus: Prometheus, { url }: RunningServer, sinceMs: number): Promise<void> => {
  await until(
    async () => {
      const [found] = await prometheus.query(`process_start_time_seconds{instance="${new URL(url).host}"} * 1000`);
      return found !== undefined && found.value >= sinceMs - 1_000;
    },
    { timeoutMs: 2 * MINUTE_MS, intervalMs: 200 },
  );
};

const untilCounted = async (prometheus: Prometheus, expr: string, count: number): Promise<void> => {
  await until(async () => ((await prometheus.query(expr))[0]?.value ?? 0) >= count, {
    ...{ timeoutMs: 2 * MINUTE_MS, intervalMs: 200, what: `${expr} to be ${count}` },
  });
};

async function restartThrice(prometheus: Prometheus, start: () => Promise<RunningServer>, first: RunningServer) {
  let server = first;
  for (let turn = 0; turn < 3; turn += 1) {
    await server.kill();
    const sinceMs = Date.now();
    server = await start();
    await untilScraped(prometheus, server, sinceMs);
  }
  return server;
}

describe("alerts that fire at once", () => {
  test("a worker dies with all its jobs", async () => {
    const site = await makeSite("cluster", { WORKER_CONCURRENCY: `${SLOTS}`, FFMPEG_THREADS: "1" });
    await fillSite(site);
    const key = await makeKey(site);
    const [workerPort, apiPort] = [freePort(), freePort()];
    const worker = await startWorker(site, workerPort);
    await using first = await startApi(site, apiPort, join(site.folder, "api"));
    const targets = { rendiff: [`127.0.0.1:${workerPort}`, `127.0.0.1:${apiPort}`] };
    const prometheus = await startPrometheus({ targets, hurried: true });
    const api = makeApi(first.url, key);
    const jobs = await runEndless(api, SLOTS);
    await untilScraped(prometheus, first, 0);
    await worker.kill();
    await untilAlerts(prometheus, ["RendiffLeasesLost"], { fire: true, withinMs: MINUTE_MS });
    await cancelAll(api, jobs);
  }, 180_000);
});

interface World {
  readonly site: Site;
  readonly postgres: TestServer;
  readonly redis: TestServer;
  /** The API's DATA_DIR, on a disk of its own. */
  readonly disk: string;
  readonly key: string;
  readonly ports: { readonly worker: number; readonly api: number };
}

async function mountSmallDisk(): Promise<string> {
  const disk = join(await makeTempDir("disk"), "data");
  await mkdir(disk);
  const { exitCode, stderr } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk]);
  if (exitCode !== 0) throw new Error(`mount failed: ${stderr}`);
  afterFile(() => void Bun.spawnSync(["umount", "-l", disk]));
  return disk;
}

async function makeWorld(): Promise<World> {
  const [postgres, redis, store] = await Promise.all([
    startPostgres(await makeTempDir("postgres")),
    startRedis(await makeTempDir("redis")),
    startStore("rclone"),
  ]);
  afterFile(() => Promise.all([postgres.stop(), redis.stop()]).then(() => {}));
  const site = await makeSite("cluster", {
    ...{ DATABASE_URL: postgres.url, REDIS_URL: redis.url, WORKER_CONCURRENCY: `${SLOTS}`, FFMPEG_THREADS: "1" },
    // A key that the store does not know: what is written there fails for our reasons.
    ...{ S3_ENDPOINT: store.url, S3_ACCESS_KEY_ID: ACCESS_KEY, S3_SECRET_ACCESS_KEY: "not-the-secret" },
  });
  await fillSite(site);
  const key = await makeKey(site);
  return { site, postgres, redis, disk: await mountSmallDisk(), key, ports: { worker: freePort(), api: freePort() } };
}

async function breakWhatLasts({ site, redis, disk, key, ports }: World) {
  const traefik = await startTraefik(1);
  let worker = await startWorker(site, ports.worker);
  const server = await startApi(site, ports.api, disk);
  const targets = {
    rendiff: [`127.0.0.1:${ports.worker}`, `127.0.0.1:${ports.api}`],
    traefik: [traefik.address],
  };
  const prometheus = await startPrometheus({ targets });
  const api = makeApi(server.url, key);
  await untilScraped(prometheus, worker, 0);
  await untilScraped(prometheus, server, 0);
  for (let turn = 0; turn < 8; turn += 1) {
    expect((await api.ended((await api.convert(quick(`s3://bucket/${turn}.webm`))).id)).status).toBe("failed");
  }
  // What a process counted after its last scrape goes with it.
  await untilCounted(prometheus, 'sum(rendiff_job_failures_total{fault="service"})', 8);
  await Bun.write(join(disk, "filler"), new Uint8Array(63 * 1024 ** 2));
  const jobs = await runEndless(api, SLOTS);
  await worker.kill();
  // Nobody claims these until they are late; they are more than all that were claimed in time.
  for (let turn = 0; turn < 16; turn += 1) await api.convert(quick(`late-${turn}.webm`));
  await untilAlerts(prometheus, ["RendiffLeasesLost", "RendiffSuccessBurnsFast"], {
    fire: true,
    withinMs: 5 * MINUTE_MS,
  });
  await untilAlerts(prometheus, ["RendiffNoWorkers"], { fire: true, withinMs: 5 * MINUTE_MS });
  await redis.stop();
  await untilAlerts(prometheus, ["RendiffRedisDown"], { fire: true, withinMs: 5 * MINUTE_MS });
  await redis.restart();
  // They would take all slots.
  await cancelAll(api, jobs);
  worker = await startWorker(site, ports.worker);
  const lasting = ["RendiffQueueWaitBurnsFast", "RendiffDiskFull", "RendiffDiskNearlyFull"];
  const ending = ["RendiffCertificateExpires", "RendiffCertificateEnds"];
  await untilAlerts(prometheus, [...lasting, ...ending], { fire: true, withinMs: 10 * MINUTE_MS });
  await rm(join(disk, "filler"));
  await traefik.renew(90);
  return { prometheus, worker, server };
}

/** Every second somebody asks for something, and is told that it cannot be had. */
async function askInVain({ url }: RunningServer, key: string, signal: AbortSignal): Promise<void> {
  const ask = async (): Promise<boolean> => {
    await fetch(`${url}/api/v1/jobs`, { headers: { "x-api-key": key } }).catch(() => {});
    return signal.aborted;
  };
  await until(ask, { timeoutMs: 60 * MINUTE_MS, intervalMs: 1_000 });
}

describe("alerts that take their time", () => {
  if (!testEnv().long) return;

  test(
    "workers, stores, disks, certificates, Redis, Postgres, replicas: each fires by its fault and is quiet after",
    async () => {
      const world = await makeWorld();
      const { site, postgres, disk, key, ports } = world;
      const { prometheus, worker, server } = await breakWhatLasts(world);
      const start = () => startApi(site, ports.api, disk);
      const api = await restartThrice(prometheus, start, server);
      await untilAlerts(prometheus, ["RendiffRestarts"], { fire: true, withinMs: 2 * MINUTE_MS });

      await postgres.crash();
      const asking = new AbortController();
      const asked = askInVain(api, key, asking.signal);
      await untilAlerts(prometheus, ["RendiffDatabaseDown", "RendiffAvailabilityBurnsFast"], {
        ...{ fire: true, withinMs: 8 * MINUTE_MS },
      });
      await postgres.restart();
      await untilAlerts(prometheus, ["RendiffDatabaseDown"], { fire: false, withinMs: 3 * MINUTE_MS });
      asking.abort();
      await asked;

      await Promise.all([api.kill(), worker.kill()]);
      await untilAlerts(prometheus, ["RendiffDown", "RendiffReplicaDown"], { fire: true, withinMs: 5 * MINUTE_MS });
      await using againApi = await start();
      await using againWorker = await startWorker(site, ports.worker);
      expect([againApi.pid, againWorker.pid].every((pid) => pid > 0)).toBe(true);
      const soon = ["RendiffDown", "RendiffReplicaDown", "RendiffNoWorkers", "RendiffRedisDown", "RendiffDiskFull"];
      const also = ["RendiffDiskNearlyFull", "RendiffCertificateExpires", "RendiffCertificateEnds"];
      await untilAlerts(prometheus, [...soon, ...also], { fire: false, withinMs: 5 * MINUTE_MS });
      // Fifteen minutes of restarts and lost leases, and thirty of the longer of the short windows, have to pass.
      await untilAlerts(prometheus, ["RendiffRestarts", "RendiffLeasesLost"], {
        fire: false,
        withinMs: 20 * MINUTE_MS,
      });
      const burns = ["RendiffAvailabilityBurnsFast", "RendiffSuccessBurnsFast", "RendiffQueueWaitBurnsFast"];
      await untilAlerts(prometheus, burns, { fire: false, withinMs: 40 * MINUTE_MS });
    },
    120 * MINUTE_MS,
  );

  test(
    "a class is paused while its jobs wait, and a receiver is away",
    async () => {
      const site = await makeSite("cluster", { WORKER_CONCURRENCY: "2", ALLOW_PRIVATE_NETWORKS: "loopback" });
      await fillSite(site);
      const [key, admin] = [await makeKey(site), await makeKey(site, { role: "admin" })];
      await using worker = await startServer(site, { RENDIFF_ROLE: "worker" });
      await using server = await startServer(site, {
        RENDIFF_ROLE: "api",
        ...NO_FFMPEG,
        DATA_DIR: join(site.folder, "api"),
      });
      const prometheus = await startPrometheus({
        targets: { rendiff: [worker, server].map(({ url }) => new URL(url).host) },
      });
      const [api, operator] = [makeApi(server.url, key), makeApi(server.url, admin)];
      const away = freePort();
      const webhook_url = `http://127.0.0.1:${away}/hook`;
      const jobs = await Promise.all(
        Array.from({ length: 30 }, (_, n) => api.convert(quick(`${n}.webm`, { webhook_url }))),
      );
      for (const { id } of jobs) expect((await api.ended(id)).status).toBe("completed");
      expect((await operator.call("POST", "/admin/queues/pause", { priorities: ["normal"] })).status).toBe(200);
      const waiting = await api.convert(quick("waits.webm"));
      await untilAlerts(prometheus, ["RendiffQueueStuck"], { fire: true, withinMs: 25 * MINUTE_MS });
      expect((await operator.call("POST", "/admin/queues/resume", { priorities: ["normal"] })).status).toBe(200);
      expect((await api.ended(waiting.id)).status).toBe("completed");
      await untilAlerts(prometheus, ["RendiffQueueStuck"], { fire: false, withinMs: 3 * MINUTE_MS });
      await untilAlerts(prometheus, ["RendiffWebhookBacklog"], { fire: true, withinMs: 30 * MINUTE_MS });
      const receiver = Bun.serve({
        hostname: "127.0.0.1",
        port: away,
        fetch: () => new Response(null, { status: 204 }),
      });
      afterFile(() => receiver.stop(true));
      // A host that was away for long is left alone for up to ten minutes.
      await untilAlerts(prometheus, ["RendiffWebhookBacklog"], { fire: false, withinMs: 15 * MINUTE_MS });
    },
    90 * MINUTE_MS,
  );
});

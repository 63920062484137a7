/** The server as a whole: what it opens, in which order it closes, what it finds after a crash. Its FFmpeg is real. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { claimSoleProcess } from "../../src/boot/sole-process.ts";
import type { Config } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import { migrate } from "../../src/database/migrate.ts";
import { openPglite } from "../../src/database/pglite/open-pglite.ts";
import { openPostgres } from "../../src/database/postgres/open-postgres.ts";
import type { Sql } from "../../src/database/sql.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { registerWorker } from "../../src/jobs/liveness.ts";
import { getJob } from "../../src/jobs/store.ts";
import type { JobId, WorkerId } from "../../src/jobs/types.ts";
import { insertKey, submit } from "../faults/protocol-harness.ts";
import { afterFile } from "../support/cleanup.ts";
import { asSuperuser, createDatabase } from "../support/postgres.ts";
import { serveKnowing } from "../support/serve-knowing.ts";
import { type LogLine, memoryLogger, silentLogger } from "../support/silent-logger.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const TIMEOUT_MS = 60_000;

/** `folder` is all the server has; the cache of what FFmpeg can do lies in it too. */
function configIn(folder: string, env: Record<string, string> = {}): Config {
  return loadConfig({
    cwd: folder,
    env: {
      ...{ RENDIFF_ENV: "test", API_HOST: "127.0.0.1", API_PORT: "0", SANDBOX: "auto", DRAIN_DELAY: "0s" },
      ...{ DATA_DIR: join(folder, "data"), STORAGE_PATH: join(folder, "files"), WORKER_CONCURRENCY: "1" },
      ...{ TEMP_STORAGE: join(folder, "work") },
      ...env,
    },
  });
}

async function openRows(config: Config): Promise<Sql> {
  const { url } = config.database;
  const statementTimeoutMs = 20_000;
  const sql =
    url === null
      ? await openPglite({ dataDir: config.process.dataDir, statementTimeoutMs })
      : await openPostgres({ url, poolSize: 4, statementTimeoutMs, applicationName: "rendiff-test" });
  await migrate(sql);
  return sql;
}

/** One job that was running when its process died, and one that waits. Neither has an input, so both fail when run. */
async function leaveBehind(config: Config): Promise<{ running: JobId; queued: JobId }> {
  const sql = await openRows(config);
  const database = { sql, keyId: await insertKey(sql) };
  const spec = { inputs: ["local:///none.mp4"], output: "local:///out.mp4", operations: [], options: {} };
  const running = await submit(database, { spec });
  const queued = await submit(database, { spec });
  const workerId = Bun.randomUUIDv7() as WorkerId;
  await registerWorker(sql, { workerId, role: "combined", version: "test", slots: 1 });
  await claimJob(sql, { workerId, jobTypes: null, priorities: null, jobId: running });
  await sql.query("INSERT INTO leases (name, holder, until) VALUES ('reconciler', $1, now() + interval '1 hour')", [
    Bun.randomUUIDv7(),
  ]);
  await sql.close();
  return { running, queued };
}

const kindOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "it worked",
    (error: unknown) => ({
      kind: (error as { kind?: string }).kind,
      message: (error as { publicMessage?: string }).publicMessage,
    }),
  );

describe("a server", () => {
  for (const engine of ["pglite", "postgres"] as const) {
    test(
      `${engine}: after a crash what ran is taken back, what waited is run, and the second start works`,
      async () => {
        const folder = await makeTempDir("server");
        const env: Record<string, string> = engine === "pglite" ? {} : { DATABASE_URL: (await createDatabase()).url };
        const config = configIn(folder, env);
        const { running, queued } = await leaveBehind(config);
        const lines: LogLine[] = [];
        const server = await serveKnowing(config, memoryLogger(lines));
        const ready = await fetch(`${server.url}/health/ready`);
        expect(ready.status).toBe(200);
        const ends = () => lines.filter(({ message }) => message === "attempt ended");
        await until(() => ends().length === 2, { timeoutMs: 20_000, what: "both jobs to have been tried" });
        const drained = server.drain();
        expect(server.drain()).toBe(drained);
        await drained;
        await server.ended;
        await expect(fetch(`${server.url}/health/live`)).rejects.toThrow();
        const sql = await openRows(config);
        for (const [jobId, crashCount] of [
          [running, 1],
          [queued, 0],
        ] as const) {
          const job = await getJob(sql, { jobId, keyId: null });
          expect(job).toMatchObject({ status: "failed", crashCount, error: { kind: "input.not_found" } });
        }
        const left = await sql.query("SELECT id FROM workers WHERE left_at IS NULL AND version <> 'test'");
        expect([left, await sql.query("SELECT name FROM leases WHERE until < now() + interval '30 minutes'")]).toEqual([
          [],
          [],
        ]);
        await sql.close();
      },
      TIMEOUT_MS,
    );
  }

  test(
    "a port that is taken is said clearly, claims no job, and everything is closed",
    async () => {
      const folder = await makeTempDir("server");
      const { queued } = await leaveBehind(configIn(folder));
      const taken = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("mine") });
      afterFile(() => taken.stop(true));
      const config = configIn(folder, { API_PORT: `${taken.port}` });
      expect(await kindOf(serveKnowing(config, silentLogger()))).toEqual({
        kind: "service.unavailable",
        message: `Port ${taken.port} is in use by another program.`,
      });
      // The folder's lock is free again, and nothing was begun.
      const sql = await openRows(config);
      expect(await getJob(sql, { jobId: queued, keyId: null })).toMatchObject({ status: "queued", attempt: 0 });
      await sql.close();
    },
    TIMEOUT_MS,
  );

  test(
    "what cannot be opened closes what was opened before it",
    async () => {
      const folder = await makeTempDir("server");
      const config = configIn(folder, { FFMPEG_PATH: join(folder, "no-ffmpeg") });
      expect(await kindOf(serveKnowing(config, silentLogger()))).toMatchObject({ kind: expect.any(String) });
      const sql = await openRows(config);
      await sql.close();
    },
    TIMEOUT_MS,
  );

  test(
    "on the embedded database a second one is refused while the first runs",
    async () => {
      const config = configIn(await makeTempDir("server"));
      const server = await serveKnowing(config, silentLogger());
      expect(await kindOf(serveKnowing(config, silentLogger()))).toMatchObject({ kind: "database.unavailable" });
      await server.drain();
    },
    TIMEOUT_MS,
  );

  test(
    "a drain that is asked for at once ends all the same",
    async () => {
      const config = configIn(await makeTempDir("server"));
      const server = await serveKnowing(config, silentLogger());
      await server.drain();
      await server.ended;
    },
    TIMEOUT_MS,
  );
});

describe("the only process of a database", () => {
  const open = (url: string): Promise<Sql> =>
    openPostgres({ url, poolSize: 2, statementTimeoutMs: 5_000, applicationName: "rendiff-sole" });

  test(
    "a second is refused, and not when the first has gone",
    async () => {
      const { url } = await createDatabase();
      const [sql, other] = [await open(url), await open(url)];
      const sole = await claimSoleProcess(sql, silentLogger());
      expect(await kindOf(claimSoleProcess(other, silentLogger()))).toEqual({
        kind: "service.unavailable",
        message: "Another Rendiff uses this database. Without Redis (REDIS_URL) only one may run.",
      });
      await sole.release();
      await (await claimSoleProcess(other, silentLogger())).release();
      await Promise.all([sql.close(), other.close()]);
    },
    TIMEOUT_MS,
  );

  const cut = (url: string) =>
    asSuperuser(
      (sql) =>
        sql`SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()`,
      url,
    );

  test(
    "one that loses its session takes the lock again",
    async () => {
      const { url } = await createDatabase();
      const sql = await open(url);
      const lines: LogLine[] = [];
      const sole = await claimSoleProcess(sql, memoryLogger(lines));
      await cut(url);
      await until(() => lines.some(({ message }) => message.includes("alone again")), { timeoutMs: 15_000 });
      await sole.release();
      await sql.close();
    },
    TIMEOUT_MS,
  );

  test(
    "one whose lock another has taken and keeps hears of it",
    async () => {
      const { url } = await createDatabase();
      const [sql, other] = [await open(url), await open(url)];
      const sole = await claimSoleProcess(sql, silentLogger(), 0);
      const waiting = claimSoleProcess(other, silentLogger());
      await until(async () => {
        const rows = await sql.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
        return rows.length > 0;
      });
      await cut(url);
      const second = await waiting;
      expect(await kindOf(sole.lost)).toMatchObject({ kind: "service.unavailable" });
      await sole.release();
      await second.release();
      await Promise.all([sql.close(), other.close()]);
    },
    TIMEOUT_MS,
  );
});

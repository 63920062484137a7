/** The reconciler's rounds on a real Postgres: ticks, reaping, hints, due retries, sweeping, and several at once. */
import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { toPromise } from "xstate";
import { makeReconcilerLogic, type ReconcilerPorts, runRound } from "../../actors/reconciler/reconciler.logic.ts";
import { spawnRoot } from "../../actors/spawn-root.ts";
import { makeMemoryCoordination } from "../../src/coordination/memory/memory.ts";
import { channels } from "../../src/coordination/ports.ts";
import { databaseUnavailable } from "../../src/database/errors.ts";
import { migrate } from "../../src/database/migrate.ts";
import { openPostgres } from "../../src/database/postgres/open-postgres.ts";
import type { Sql, SqlParam } from "../../src/database/sql.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { recordStaging } from "../../src/jobs/stages.ts";
import { getJob } from "../../src/jobs/store.ts";
import { JOB_TYPES, PRIORITIES } from "../../src/jobs/types.ts";
import { openLocalBackend } from "../../src/storage/local/local-backend.ts";
import { makeStorageRegistry } from "../../src/storage/registry.ts";
import { makeMetrics } from "../../src/telemetry/metrics.ts";
import { makeTracer } from "../../src/telemetry/tracer.ts";
import { makeWorkFolders } from "../../src/work-folders/work-folders.ts";
import {
  insertKey,
  makeWorker,
  mustClaim,
  openTestDatabase,
  passTicks,
  submit,
  type TestDatabase,
} from "../faults/protocol-harness.ts";
import { afterFile } from "../support/cleanup.ts";
import { createDatabase } from "../support/postgres.ts";
import { type LogLine, memoryLogger, silentLogger } from "../support/silent-logger.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const CLASSES = ["high", "normal", "low"] as const;

describe("the reconciler", () => {
  let database: TestDatabase;
  let sql: Sql;
  let ports: ReconcilerPorts;
  let tempDir: string;
  beforeAll(async () => {
    database = await openTestDatabase("postgres");
    sql = database.sql;
    const local = await openLocalBackend({ name: "local", root: await makeTempDir("files") });
    afterFile(() => local.close());
    tempDir = await makeTempDir("work");
    ports = {
      ...{
        sql,
        coordination: makeMemoryCoordination(),
        storage: makeStorageRegistry([local]),
        metrics: makeMetrics(),
        tracer: makeTracer({ sink: null }),
      },
      workFolders: await makeWorkFolders({ tempDir, tempLimitBytes: 1e9 }),
      uploads: { sweep: async () => 0 },
      recordSample: async () => undefined,
      ...{ logger: silentLogger(), holder: Bun.randomUUIDv7(), tickIntervalMs: 3_600_000, reapAfterTicks: 3 },
      ...{ poisonAfter: 3, publishTimeoutMs: 60_000, retentionJobsMs: null, retentionOutputsMs: null },
    };
  });
  beforeEach(async () => {
    for (const table of ["jobs", "workers", "staging", "leases"]) await sql.query(`DELETE FROM ${table}`);
    await sql.query("UPDATE liveness SET tick = 0, at = now() - interval '2 hours'");
    ports = { ...ports, coordination: makeMemoryCoordination() };
  });

  const start = (changed: Partial<ReconcilerPorts> = {}) => {
    const actor = spawnRoot(makeReconcilerLogic({ ...ports, ...changed }), {
      ...{ id: "reconciler", input: {}, logger: silentLogger() },
    });
    afterFile(() => {
      actor.stop();
    });
    return actor;
  };
  const hint = () => ports.coordination.readyQueue.take(CLASSES, AbortSignal.timeout(5_000));

  test("a round counts a tick at most once per interval and says so", async () => {
    const heard: unknown[] = [];
    await ports.coordination.bus.subscribe(channels.tick, ({ tick }) => heard.push(tick));
    await runRound(ports, { tidies: false, sweeps: false });
    await runRound(ports, { tidies: false, sweeps: false });
    await until(() => heard.length > 0);
    expect(heard).toEqual([1]);
  });

  test("a replica notes its own sample now and then, whoever has the turn", async () => {
    await sql.query("INSERT INTO leases (name, holder, until) VALUES ('reconciler', $1, now() + interval '1 hour')", [
      Bun.randomUUIDv7(),
    ]);
    let samples = 0;
    const actor = start({ tickIntervalMs: 50, sampleEveryMs: 100, recordSample: async () => void samples++ });
    await until(() => samples >= 2);
    actor.send({ type: "stop" });
    await toPromise(actor);
  });

  test("it reaps the dead, gives hints to what waits, and leaves the living alone", async () => {
    const [dead, alive] = [await makeWorker(sql), await makeWorker(sql)];
    const [lost, kept, waiting] = [await submit(database), await submit(database), await submit(database)];
    await mustClaim(sql, dead, lost);
    await mustClaim(sql, alive, kept);
    await passTicks(sql, 3);
    await sql.query("UPDATE workers SET seen_tick = 3 WHERE id = $1", [alive]);
    await sql.query("UPDATE liveness SET at = now()");
    await runRound(ports, { tidies: false, sweeps: false });
    expect((await getJob(sql, { jobId: kept, keyId: null }))?.status).toBe("processing");
    expect([(await hint())?.jobId, (await hint())?.jobId]).toEqual([lost, waiting]);
    expect(await ports.coordination.readyQueue.depths()).toEqual({ high: 0, normal: 0, low: 0 });
  });

  test("a queue that has grown long is claimed from along its index, also by plans made before", async () => {
    const { url } = await createDatabase();
    const one = await openPostgres({ url, poolSize: 1, statementTimeoutMs: 20_000, applicationName: "claims" });
    afterFile(() => one.close());
    await migrate(one);
    const [keyId, workerId] = [await insertKey(one), await makeWorker(one)];
    const grow = (count: number) =>
      one.query(
        `INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec)
         SELECT gen_random_uuid(), $1, 'convert', 'queued', 1, random(), '{}' FROM generate_series(1, $2::integer)`,
        [keyId, count],
      );
    const entriesRead = async (): Promise<number> => {
      await one.query("SELECT pg_stat_force_next_flush()");
      const [row] = await one.query<{ entries: number }>(
        "SELECT sum(idx_tup_read)::integer AS entries FROM pg_stat_user_indexes WHERE relname = 'jobs'",
      );
      return row?.entries ?? Number.NaN;
    };
    const request = { workerId, jobTypes: JOB_TYPES, priorities: PRIORITIES };
    /** Resolves to the entries of indexes that ten claims read. */
    const claimTen = async (): Promise<number> => {
      const before = await entriesRead();
      for (let times = 0; times < 10; times += 1) expect(await claimJob(one, request)).not.toBeNull();
      return (await entriesRead()) - before;
    };
    await grow(4_000);
    // A plan is kept from the sixth time on; this one was made by statistics that know of no rows.
    await claimTen();
    const queue = { isLong: false };
    await runRound({ ...ports, sql: one }, { tidies: false, sweeps: false }, queue);
    expect(queue).toEqual({ isLong: true });
    expect(await claimTen()).toBeLessThan(1_000);
    // Who serves higher classes only finds nothing, without reading what waits below them.
    const before = await entriesRead();
    expect(await claimJob(one, { ...request, priorities: ["high"] })).toBeNull();
    expect((await entriesRead()) - before).toBeLessThan(100);
  });

  test("two at once do no harm: one has the turn", async () => {
    const ids = [await submit(database), await submit(database)];
    const other = { ...ports, holder: Bun.randomUUIDv7() };
    await Promise.all([
      runRound(ports, { tidies: true, sweeps: true }),
      runRound(other, { tidies: true, sweeps: true }),
    ]);
    expect([(await hint())?.jobId, (await hint())?.jobId]).toEqual(ids);
    const [row] = await sql.query("SELECT tick FROM liveness");
    expect(row).toEqual({ tick: 1 });
  });

  test("a job that becomes due is woken then, also when that was decided after the last look", async () => {
    const actor = start();
    await until(() => actor.getSnapshot().value === "waiting");
    const jobId = await submit(database);
    await sql.query("UPDATE jobs SET run_at = now() + interval '300 milliseconds' WHERE id = $1", [jobId]);
    await ports.coordination.bus.publish(channels.due, { job_id: jobId });
    expect((await hint())?.jobId).toBe(jobId);
    const [row] = await sql.query("SELECT run_at <= now() AS due FROM jobs");
    expect(row).toEqual({ due: true });
    actor.send({ type: "stop" });
    await toPromise(actor);
    // The next process does not wait for this one's turn to run out.
    expect(await sql.query("SELECT 1 FROM leases")).toEqual([]);
  });

  test("a round that fails does not stop the next", async () => {
    let failing = true;
    const flaky: Sql = {
      ...sql,
      async query<Row extends object>(text: string, params?: readonly SqlParam[]): Promise<Row[]> {
        if (failing && text.includes("leases")) throw databaseUnavailable(new Error("away"));
        return sql.query<Row>(text, params);
      },
    };
    const lines: LogLine[] = [];
    const jobId = await submit(database);
    const actor = start({ sql: flaky, logger: memoryLogger(lines) });
    await until(() => lines.some(({ message }) => message.includes("failed")));
    failing = false;
    expect((await hint())?.jobId).toBe(jobId);
    actor.send({ type: "stop" });
    await toPromise(actor);
  });

  test("a stop waits for the round that is under way", async () => {
    const held = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const slow: Sql = {
      ...sql,
      async query<Row extends object>(text: string, params?: readonly SqlParam[]): Promise<Row[]> {
        if (text.includes("liveness")) {
          begun.resolve();
          await held.promise;
        }
        return sql.query<Row>(text, params);
      },
    };
    const actor = start({ sql: slow });
    await begun.promise;
    actor.send({ type: "stop" });
    expect(actor.getSnapshot().value).toBe("working");
    held.resolve();
    await toPromise(actor);
    expect(actor.getSnapshot().value).toBe("stopped");
  });

  test("it sweeps staged bytes and work folders that are nobody's, and none that are somebody's", async () => {
    const backend = ports.storage.backend("local");
    const jobs = [await submit(database), await submit(database)];
    const workerId = await makeWorker(sql);
    const leases = [];
    for (const [n, jobId] of jobs.entries()) {
      const lease = await mustClaim(sql, workerId, jobId);
      leases.push(lease);
      const staged = await backend.stage(`${n}.mp4`, { jobId, leaseToken: lease.leaseToken });
      await recordStaging(sql, lease, [staged]);
      await sql.query(
        `INSERT INTO staging (job_id, lease_token, backend, key, staged, created_at)
         VALUES ($1, $2, 'local', $3, NULL, now() - interval '1 day')
         ON CONFLICT (job_id, lease_token, backend, key) DO UPDATE SET created_at = excluded.created_at`,
        [jobId, lease.leaseToken, `${n}.mp4`],
      );
      await mkdir(join(tempDir, `${jobId}.${lease.leaseToken}`));
    }
    await sql.query("UPDATE jobs SET status = 'queued', worker_id = NULL, stage = NULL WHERE id = $1", [
      jobs[0] as string,
    ]);
    // Of a store that was taken out of the configuration: it cannot be reached, and is no reason to fail each round.
    await sql.query(
      `INSERT INTO staging (job_id, lease_token, backend, key, created_at) VALUES ($1, 1, 'former', 'x', now() - interval '2 days')`,
      [jobs[0] as string],
    );
    await runRound({ ...ports, tickIntervalMs: 1 }, { tidies: true, sweeps: true });
    const kept = await sql.query("SELECT job_id, backend FROM staging ORDER BY backend");
    expect(kept).toEqual([
      { job_id: jobs[0], backend: "former" },
      { job_id: jobs[1], backend: "local" },
    ]);
    expect(await readdir(tempDir)).toEqual([`${jobs[1]}.${leases[1]?.leaseToken}`]);
  });
});

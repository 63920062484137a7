/** The worker on both engines: slots, hints and their loss, cancels, drains, and that nothing of an attempt stays. */
import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { channels } from "../../src/coordination/ports.ts";
import type { Sql } from "../../src/database/sql.ts";
import { cancelJob } from "../../src/jobs/cancel.ts";
import { getJob } from "../../src/jobs/store.ts";
import type { JobId } from "../../src/jobs/types.ts";
import { ENGINES, insertKey, openTestDatabase, submit, type TestDatabase } from "../faults/protocol-harness.ts";
import { until } from "../support/until.ts";
import { startWorker, type TestWorker } from "./worker-harness.ts";

/** The dispatcher and the heartbeat. */
const SERVICES = 2;

for (const engine of ENGINES) {
  describe(engine, () => {
    let database: TestDatabase;
    let sql: Sql;
    beforeAll(async () => {
      database = await openTestDatabase(engine);
      sql = database.sql;
    });
    beforeEach(async () => {
      for (const table of ["jobs", "workers", "output_claims"]) await sql.query(`DELETE FROM ${table}`);
    });

    const statusOf = async (jobId: JobId) => (await getJob(sql, { jobId, keyId: null }))?.status;
    const submitMany = async (count: number): Promise<JobId[]> => {
      const ids: JobId[] = [];
      for (let n = 0; n < count; n += 1) ids.push(await submit(database));
      return ids;
    };
    const runs = (worker: TestWorker, jobId: JobId | undefined) =>
      until(() => worker.attempts.running.get(jobId as JobId), { what: "the job to run" });
    const attemptsOf = (jobId: JobId) =>
      sql.query<{ outcome: string | null }>("SELECT outcome FROM job_attempts WHERE job_id = $1 ORDER BY attempt", [
        jobId,
      ]);

    test("no more run than there are slots, and a slot that is freed takes the next in order", async () => {
      const ids = await submitMany(4);
      const worker = startWorker(database, { slots: 2 });
      await runs(worker, ids[1]);
      expect([...worker.attempts.running.keys()]).toEqual(ids.slice(0, 2));
      worker.attempts.running.get(ids[0] as JobId)?.finish();
      await runs(worker, ids[2]);
      expect(await statusOf(ids[0] as JobId)).toBe("completed");
      expect(await statusOf(ids[3] as JobId)).toBe("queued");
      for (const id of ids.slice(1)) (await runs(worker, id)).finish();
      await worker.drain();
      expect(worker.attempts.most()).toBe(2);
    });

    describe("a worker of one class", () => {
      /** Counts the claims; the one after `holdNext` waits until it is released, its look being over. */
      function watched() {
        let looks = 0;
        let hold: { readonly seen: () => void; readonly release: Promise<void> } | null = null;
        const query: Sql["query"] = async (text, params) => {
          const isClaim = text.includes("SKIP LOCKED");
          const rows = await sql.query(text, params);
          const held = hold;
          if (isClaim) looks += 1;
          if (isClaim && held !== null) {
            hold = null;
            held.seen();
            await held.release;
          }
          return rows as never;
        };
        const holdNext = () => {
          const [seen, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
          hold = { seen: seen.resolve, release: released.promise };
          return { seen: seen.promise, release: released.resolve };
        };
        return { sql: { ...sql, query } as Sql, looks: () => looks, holdNext };
      }

      test("hears of a job that comes while it looks", async () => {
        const port = watched();
        const held = port.holdNext();
        const worker = startWorker(database, { sql: port.sql, priorities: ["high"], immediate: true });
        await held.seen;
        const urgent = await submit(database, { priority: "high" });
        await worker.hint();
        held.release();
        await until(async () => (await statusOf(urgent)) === "completed");
        await worker.drain();
      });

      test("is not kept busy by the jobs of the others", async () => {
        const port = watched();
        const worker = startWorker(database, { sql: port.sql, priorities: ["high"], immediate: true });
        const startedAtMs = performance.now();
        for (let index = 0; index < 200; index++) {
          await submit(database, { priority: "low" });
          await worker.hint();
        }
        // Ten a second, whatever comes.
        expect(port.looks()).toBeLessThanOrEqual((performance.now() - startedAtMs) / 100 + 1);
        const urgent = await submit(database, { priority: "high" });
        await worker.hint();
        await until(async () => (await statusOf(urgent)) === "completed");
        await worker.drain();
      });
    });

    test("without any hint the rows are looked at: at the start, after each job, and now and then", async () => {
      const before = await submitMany(3);
      const worker = startWorker(database, { slots: 1, immediate: true, pollIntervalMs: 20 });
      await until(async () => (await statusOf(before[2] as JobId)) === "completed");
      // Nothing has run for a while and nobody says a word.
      const [late] = await submitMany(1);
      await until(async () => (await statusOf(late as JobId)) === "completed");
      await worker.drain();
    });

    test("a hint starts a job at once, without a look at the rows", async () => {
      const worker = startWorker(database);
      await until(() => worker.state() === "running");
      await until(async () => (await sql.query("SELECT 1 FROM workers")).length === 1);
      const [id] = await submitMany(1);
      await worker.hint();
      (await runs(worker, id)).finish();
      // The hint of a job that is gone costs nothing.
      await worker.coordination.readyQueue.add([{ jobId: Bun.randomUUIDv7(), priority: "high", rank: 1 }]);
      await until(async () => (await statusOf(id as JobId)) === "completed");
      await worker.drain();
    });

    test("a hinted job is expected until its attempt has begun", async () => {
      const told: string[] = [];
      const expectOne = () => {
        told.push("expected");
        return { release: () => void told.push(`released with ${worker.children() - SERVICES} begun`) };
      };
      let looks = 0;
      const query: Sql["query"] = async (text, params) => {
        const rows = await sql.query(text, params);
        if (text.includes("SKIP LOCKED")) looks += 1;
        return rows as never;
      };
      const worker: TestWorker = startWorker(database, { processors: { expect: expectOne }, sql: { ...sql, query } });
      // From then on only hints lead to jobs.
      await until(() => looks === 1, { what: "the first look at the rows" });
      const [id] = await submitMany(1);
      await worker.hint();
      await runs(worker, id);
      await until(() => told.length === 2, { what: "the claim to be over" });
      expect(told).toEqual(["expected", "released with 1 begun"]);
    });

    test("a job that waits for its key's limit runs as soon as another of the key ends", async () => {
      const keyId = await insertKey(sql);
      await sql.query("UPDATE api_keys SET max_concurrent_jobs = 1 WHERE id = $1", [keyId]);
      const first = await submit(database, { keyId });
      const second = await submit(database, { keyId });
      const other = await submit(database);
      const worker = startWorker(database, { slots: 4 });
      await worker.hint();
      const running = await runs(worker, first);
      (await runs(worker, other)).finish();
      await until(async () => (await worker.coordination.readyQueue.depths()).normal === 0);
      expect(await statusOf(second)).toBe("queued");
      running.finish();
      (await runs(worker, second)).finish();
      await worker.drain();
      expect(await statusOf(second)).toBe("completed");
    });

    test("a cancel that is heard of on the bus stops the attempt", async () => {
      const [id] = await submitMany(1);
      const worker = startWorker(database);
      await runs(worker, id);
      await cancelJob(sql, { jobId: id as JobId, keyId: null });
      await worker.coordination.bus.publish(channels.cancel, { job_id: id });
      await until(async () => (await statusOf(id as JobId)) === "cancelled");
      expect(worker.attempts.running.size).toBe(0);
      await worker.drain();
    });

    test("a cancel whose message was lost is learned from the heartbeat", async () => {
      const [id] = await submitMany(1);
      const worker = startWorker(database, { tickIntervalMs: 20 });
      await runs(worker, id);
      await cancelJob(sql, { jobId: id as JobId, keyId: null });
      await until(async () => (await statusOf(id as JobId)) === "cancelled");
      await worker.drain();
    });

    test("an attempt that fails is retried, and one that breaks does not end the worker", async () => {
      const [failing, next] = await submitMany(2);
      const worker = startWorker(database, { slots: 1 });
      (await runs(worker, failing)).fail(new Error("it broke"));
      await runs(worker, next);
      expect(await attemptsOf(failing as JobId)).toEqual([{ outcome: "retried" }]);
      worker.attempts.running.get(next as JobId)?.finish();
      await worker.drain();
      expect(await statusOf(next as JobId)).toBe("completed");
    });

    test("a drain waits for what runs, claims nothing more, and leaves", async () => {
      const [running, waiting] = await submitMany(2);
      const worker = startWorker(database, { slots: 1 });
      const { finish } = await runs(worker, running);
      const drained = worker.drain();
      expect(worker.state()).toBe("draining");
      worker.send({ type: "drain" });
      finish();
      await drained;
      expect([await statusOf(running as JobId), await statusOf(waiting as JobId)]).toEqual(["completed", "queued"]);
      const [row] = await sql.query("SELECT left_at IS NOT NULL AS left FROM workers WHERE id = $1", [
        worker.workerId(),
      ]);
      expect(row).toEqual({ left: true });
    });

    test("a drain that takes too long puts jobs back without charging them", async () => {
      const [id] = await submitMany(1);
      const worker = startWorker(database, { drainTimeoutMs: 20 });
      await runs(worker, id);
      await worker.drain();
      const job = await getJob(sql, { jobId: id as JobId, keyId: null });
      expect(job).toMatchObject({ status: "queued", failureCount: 0, crashCount: 0 });
      expect(await attemptsOf(id as JobId)).toEqual([{ outcome: "snoozed" }]);
    });
  });
}

test("500 jobs leave no actor and no memory behind", async () => {
  const database = await openTestDatabase("postgres");
  const { sql } = database;
  const worker = startWorker(database, { slots: 4, immediate: true });
  const run = async (count: number) => {
    for (let n = 0; n < count; n += 1) await submit(database);
    await worker.hint();
    const open = () => sql.query("SELECT 1 FROM jobs WHERE status <> 'completed' LIMIT 1");
    await until(async () => (await open()).length === 0, { timeoutMs: 60_000, intervalMs: 50 });
  };
  await run(100);
  await until(() => worker.children() === SERVICES);
  Bun.gc(true);
  const before = process.memoryUsage().heapUsed;
  await run(500);
  await until(() => worker.children() === SERVICES);
  Bun.gc(true);
  expect(worker.attempts.started()).toBe(600);
  // An attempt that stayed would take 10 KB and more.
  expect((process.memoryUsage().heapUsed - before) / 500).toBeLessThan(4_000);
  await worker.drain();
}, 90_000);

/** What a worker concludes from its heartbeats and from ticks: what to kill, what to give back, when to start anew. */
import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { channels } from "../../src/coordination/ports.ts";
import { databaseUnavailable } from "../../src/database/errors.ts";
import type { Sql, SqlParam } from "../../src/database/sql.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { workerLeft } from "../../src/jobs/liveness.ts";
import { reapDeadWorkers } from "../../src/jobs/reap.ts";
import { getJob } from "../../src/jobs/store.ts";
import type { JobId, WorkerId } from "../../src/jobs/types.ts";
import { openTestDatabase, passTicks, submit, type TestDatabase } from "../faults/protocol-harness.ts";
import { until } from "../support/until.ts";
import { startWorker, type TestWorker } from "./worker-harness.ts";

const REAP = { ticksBehind: 3, poisonAfter: 3, limit: 100 };
const BEATING = { tickIntervalMs: 20 } as const;

/** A database whose answers a test can hold back, or lose after the statement was done. */
function faulty(sql: Sql) {
  let broken: ((text: string) => Promise<void>) | null = null;
  const wrapped: Sql = {
    ...sql,
    async query<Row extends object>(text: string, params?: readonly SqlParam[]): Promise<Row[]> {
      const rows = await sql.query<Row>(text, params);
      await broken?.(text);
      return rows;
    },
  };
  return {
    sql: wrapped,
    whenever(isIt: (text: string) => boolean, happen: () => Promise<void>): void {
      broken = async (text) => {
        if (isIt(text)) await happen();
      };
    },
    heal: () => {
      broken = null;
    },
  };
}

const isClaim = (text: string): boolean => text.includes("'job.started'");
const lose = async (): Promise<void> => {
  throw databaseUnavailable(new Error("the reply was lost"));
};

describe("leases of a worker", () => {
  let database: TestDatabase;
  let sql: Sql;
  beforeAll(async () => {
    database = await openTestDatabase("postgres");
    sql = database.sql;
  });
  beforeEach(async () => {
    for (const table of ["jobs", "workers", "output_claims"]) await sql.query(`DELETE FROM ${table}`);
    await sql.query("UPDATE liveness SET tick = 0");
  });

  const job = async (jobId: JobId) => {
    const found = await getJob(sql, { jobId, keyId: null });
    if (found === null) throw new Error("The job is gone.");
    return found;
  };
  const runs = (worker: TestWorker, jobId: JobId) =>
    until(() => worker.attempts.running.get(jobId), { what: "the job to run" });
  const beaten = (worker: TestWorker) =>
    until(async () => {
      const [row] = await sql.query<{ seen_tick: number; tick: number }>(
        "SELECT w.seen_tick, l.tick FROM workers w, liveness l WHERE w.id = $1",
        [worker.workerId()],
      );
      return row?.seen_tick === row?.tick;
    });

  test("a claim whose reply was lost is given back without charge, and then run", async () => {
    const fault = faulty(sql);
    let lost = 0;
    fault.whenever(
      (text) => isClaim(text) && lost === 0,
      async () => {
        const [row] = await sql.query("SELECT id FROM jobs WHERE status = 'processing'");
        if (row === undefined) return;
        lost += 1;
        await lose();
      },
    );
    const jobId = await submit(database);
    const worker = startWorker({ ...database, sql: fault.sql }, BEATING);
    await until(() => lost === 1);
    (await runs(worker, jobId)).finish();
    await until(async () => (await job(jobId)).status === "completed");
    expect(await job(jobId)).toMatchObject({ attempt: 2, failureCount: 0, crashCount: 0 });
    const rows = await sql.query("SELECT outcome FROM job_attempts WHERE job_id = $1 ORDER BY attempt", [jobId]);
    expect(rows).toEqual([{ outcome: "returned" }, { outcome: "completed" }]);
    await worker.drain();
  });

  test("what is no longer held is killed, and its successor is left alone", async () => {
    const jobId = await submit(database);
    const worker = startWorker(database, { ...BEATING, slots: 1 });
    await runs(worker, jobId);
    const { leaseToken } = await job(jobId);
    await sql.query("UPDATE jobs SET worker_id = $2, lease_token = lease_token + 1 WHERE id = $1", [
      jobId,
      Bun.randomUUIDv7(),
    ]);
    await until(() => worker.attempts.running.size === 0);
    expect(await job(jobId)).toMatchObject({ status: "processing", leaseToken: leaseToken + 1 });
    await worker.drain();
  });

  test("a worker whose row says that it left kills what it runs and comes back under a new id", async () => {
    const jobId = await submit(database);
    const worker = startWorker(database, BEATING);
    await runs(worker, jobId);
    const former = worker.workerId();
    await workerLeft(sql, former as WorkerId);
    await until(() => worker.workerId() !== former && worker.state() === "running");
    await reapDeadWorkers(sql, REAP);
    await worker.hint();
    (await runs(worker, jobId)).finish();
    await until(async () => (await job(jobId)).status === "completed");
    await worker.drain();
  });

  test("a worker that hears ticks run ahead of its heartbeats is the one cut off", async () => {
    const jobId = await submit(database);
    const fault = faulty(sql);
    const worker = startWorker({ ...database, sql: fault.sql }, BEATING);
    await runs(worker, jobId);
    await beaten(worker);
    fault.whenever((text) => text.includes("seen_tick"), lose);
    const { bus } = worker.coordination;
    await bus.publish(channels.tick, { tick: 1 });
    await until(() => worker.attempts.running.size === 1);
    await bus.publish(channels.tick, { tick: "many" });
    expect(worker.attempts.running.size).toBe(1);
    await bus.publish(channels.tick, { tick: 2 });
    await until(() => worker.attempts.running.size === 0);
    fault.heal();
    await worker.drain();
  });

  test("a worker that hears nothing and gets no answer goes on", async () => {
    const jobId = await submit(database);
    const fault = faulty(sql);
    let unanswered = 0;
    const worker = startWorker({ ...database, sql: fault.sql }, BEATING);
    await runs(worker, jobId);
    fault.whenever(
      (text) => text.includes("seen_tick"),
      async () => {
        unanswered += 1;
        await lose();
      },
    );
    await until(() => unanswered >= 5);
    expect(worker.attempts.running.size).toBe(1);
    fault.heal();
    worker.attempts.running.get(jobId)?.finish();
    await until(async () => (await job(jobId)).status === "completed");
    await worker.drain();
  });

  test("a worker that falls behind by a whole lease loses its jobs to the reaper and nothing else", async () => {
    const jobId = await submit(database);
    const worker = startWorker(database);
    await runs(worker, jobId);
    await beaten(worker);
    await passTicks(sql, 3);
    expect(await reapDeadWorkers(sql, REAP)).toMatchObject([{ jobId, outcome: "queued" }]);
    // Its answer comes too late: the fence refuses it.
    worker.attempts.running.get(jobId)?.finish();
    await until(() => worker.attempts.started() === 2);
    expect(await job(jobId)).toMatchObject({ status: "processing", crashCount: 1, manifest: null });
    (await runs(worker, jobId)).finish();
    await worker.drain();
    expect((await job(jobId)).status).toBe("completed");
  });

  test("a claim that is under way when a drain begins is given back before the worker leaves", async () => {
    const fault = faulty(sql);
    const held = Promise.withResolvers<void>();
    const claimed = Promise.withResolvers<void>();
    const jobId = await submit(database);
    fault.whenever(isClaim, () => {
      claimed.resolve();
      return held.promise;
    });
    const worker = startWorker({ ...database, sql: fault.sql });
    await claimed.promise;
    expect((await job(jobId)).status).toBe("processing");
    const drained = worker.drain();
    await until(() => worker.state() === "leaving");
    held.resolve();
    await drained;
    expect(await job(jobId)).toMatchObject({ status: "queued", crashCount: 0, failureCount: 0 });
    expect(
      await claimJob(sql, { workerId: worker.workerId() as WorkerId, jobTypes: null, priorities: null }),
    ).toBeNull();
  });

  test("it takes what it cannot register as a reason to wait", async () => {
    const fault = faulty(sql);
    let refused = 0;
    fault.whenever(
      (text) => text.includes("INSERT INTO workers"),
      async () => {
        refused += 1;
        if (refused === 1) await lose();
      },
    );
    const worker = startWorker({ ...database, sql: fault.sql });
    await until(() => worker.state() === "waitingToRegister");
    await until(() => worker.state() === "running");
    expect(refused).toBe(2);
    await worker.drain();
  });
});

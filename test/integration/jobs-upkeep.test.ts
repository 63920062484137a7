/** Liveness, retention, turns and the deletion of outputs, on both engines; claims side by side on Postgres. */
import { beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { makeMemoryCoordination } from "../../src/coordination/memory/memory.ts";
import * as writes from "../../src/jobs/attempt-writes.ts";
import { cancelJob } from "../../src/jobs/cancel.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { countExpired, expire } from "../../src/jobs/cleanup.ts";
import { forgetWorkers } from "../../src/jobs/fleet.ts";
import { endTurn, takeTurn } from "../../src/jobs/leases.ts";
import { advanceTick, heartbeat, registerWorker, retireSilentWorkers, workerLeft } from "../../src/jobs/liveness.ts";
import { reapDeadWorkers } from "../../src/jobs/reap.ts";
import {
  claimOutputsForDeletion,
  deleteExpiredIdempotency,
  deleteExpiredJobs,
  finishOutputDeletion,
  interruptedDeletions,
} from "../../src/jobs/retention.ts";
import { backoffMs, backoffSql } from "../../src/jobs/retry-policy.ts";
import { orphanStaging } from "../../src/jobs/staging.ts";
import { listStorageUsage, storedBytes } from "../../src/jobs/storage-usage.ts";
import { getJob, listEvents, listOutputs } from "../../src/jobs/store.ts";
import type { JobId, WorkerId } from "../../src/jobs/types.ts";
import type { StorageRegistry } from "../../src/storage/port.ts";
import {
  ENGINES,
  makeWorker,
  manifestOf,
  mustClaim,
  openTestDatabase,
  passTicks,
  submit,
  type TestDatabase,
} from "../faults/protocol-harness.ts";
import { silentLogger } from "../support/silent-logger.ts";

const HOUR_MS = 3_600_000;
const REAP = { ticksBehind: 3, poisonAfter: 3, limit: 100 };

for (const engine of ENGINES) {
  describe(engine, () => {
    let database: TestDatabase;
    beforeAll(async () => {
      database = await openTestDatabase(engine);
    });
    beforeEach(async () => {
      for (const table of ["storage_usage", "jobs", "staging", "output_claims", "workers", "leases"]) {
        await database.sql.query(`DELETE FROM ${table}`);
      }
    });

    const complete = async (keys: readonly string[]): Promise<JobId> => {
      const { sql } = database;
      const jobId = await submit(database);
      const lease = await mustClaim(sql, await makeWorker(sql), jobId);
      await writes.fence(sql, lease, manifestOf(lease, keys), HOUR_MS);
      const outputs = keys.map((key, ordinal) => ({ ordinal, identity: `identity of ${key}` }));
      await writes.completeJob(sql, lease, { outputs });
      return jobId;
    };

    test("a heartbeat is accepted while the worker's row says that it is here", async () => {
      const { sql } = database;
      const workerId = crypto.randomUUID() as WorkerId;
      expect((await heartbeat(sql, { workerId })).accepted).toBe(false);
      const worker = { workerId, role: "worker", version: "1", slots: 2, priorities: ["high"] } as const;
      await registerWorker(sql, worker);
      await registerWorker(sql, worker);
      const beat = await heartbeat(sql, { workerId, draining: true });
      expect(beat).toMatchObject({ accepted: true, held: [] });
      const jobId = await submit(database);
      const lease = await mustClaim(sql, workerId, jobId);
      await cancelJob(sql, { jobId, keyId: null });
      const held = [{ jobId, leaseToken: lease.leaseToken, cancelRequested: true }];
      expect((await heartbeat(sql, { workerId })).held).toEqual(held);
      const [row] = await sql.query("SELECT draining FROM workers WHERE id = $1", [workerId]);
      expect(row).toEqual({ draining: true });
      expect(await workerLeft(sql, workerId)).toBe(true);
      expect(await workerLeft(sql, workerId)).toBe(false);
      expect((await heartbeat(sql, { workerId })).accepted).toBe(false);
    });

    test("ticks grow by one per interval, also after the clock was set back", async () => {
      const { sql } = database;
      const first = await advanceTick(sql, 0);
      expect(await advanceTick(sql, HOUR_MS)).toBeNull();
      await sql.query("UPDATE liveness SET at = at - interval '2 hours'");
      expect(await advanceTick(sql, HOUR_MS)).toBe((first ?? 0) + 1);
      await sql.query("UPDATE liveness SET at = clock_timestamp() + interval '3 hours'");
      expect(await advanceTick(sql, HOUR_MS)).toBeNull();
      await sql.query("UPDATE liveness SET at = at - interval '1 hour'");
      expect(await advanceTick(sql, HOUR_MS)).toBe((first ?? 0) + 2);
    });

    test("a process that is alone takes everything back at its start", async () => {
      const { sql } = database;
      const jobId = await submit(database);
      await mustClaim(sql, await makeWorker(sql), jobId);
      expect(await reapDeadWorkers(sql, REAP)).toEqual([]);
      const [reaped] = await reapDeadWorkers(sql, { ...REAP, ticksBehind: 0 });
      expect(reaped).toMatchObject({ jobId, outcome: "queued", priority: "normal" });
    });

    test("of the workers that left, those are forgotten that say nothing new and hold nothing", async () => {
      const { sql } = database;
      await makeWorker(sql);
      const holder = await makeWorker(sql);
      await makeWorker(sql);
      const [other, late] = [await makeWorker(sql), await makeWorker(sql)];
      await mustClaim(sql, holder, await submit(database));
      await sql.query("UPDATE workers SET class = 'another' WHERE id = $1", [other]);
      await sql.query("UPDATE workers SET left_at = now() - interval '2 hours' WHERE id <> $1", [late]);
      await sql.query("UPDATE workers SET left_at = now() WHERE id = $1", [late]);
      expect(await forgetWorkers(sql, 100)).toBe(2);
      const kept = await sql.query<{ id: string }>("SELECT id FROM workers ORDER BY id");
      expect(kept.map(({ id }) => id)).toEqual([holder, other, late]);
    });

    test("silent workers that hold nothing are written off", async () => {
      const { sql } = database;
      const idle = await makeWorker(sql);
      await mustClaim(sql, await makeWorker(sql), await submit(database));
      await passTicks(sql, 10);
      expect(await retireSilentWorkers(sql, 10)).toBe(1);
      expect((await heartbeat(sql, { workerId: idle })).accepted).toBe(false);
    });

    test("turns are one holder's until they end", async () => {
      const { sql } = database;
      const [one, two] = [crypto.randomUUID(), crypto.randomUUID()];
      const name = "reconciler";
      expect(await takeTurn(sql, { name, holder: one, ttlMs: HOUR_MS })).toBe(true);
      expect(await takeTurn(sql, { name, holder: two, ttlMs: HOUR_MS })).toBe(false);
      expect(await takeTurn(sql, { name, holder: one, ttlMs: 0 })).toBe(true);
      expect(await takeTurn(sql, { name, holder: two, ttlMs: HOUR_MS })).toBe(true);
      await endTurn(sql, { name, holder: one });
      expect(await takeTurn(sql, { name, holder: one, ttlMs: HOUR_MS })).toBe(false);
    });

    test("jobs are forgotten in batches, but not while something of theirs is left to clean", async () => {
      const { sql } = database;
      const done = [await complete(["a"]), await complete(["b"]), await complete(["c"])];
      const open = await submit(database);
      await sql.query("INSERT INTO staging (job_id, lease_token, backend, key) VALUES ($1, 9, 'local', 'x')", [
        done[0] as JobId,
      ]);
      expect(await deleteExpiredJobs(sql, { olderThanMs: HOUR_MS, limit: 10 })).toBe(0);
      expect(await deleteExpiredJobs(sql, { olderThanMs: 0, limit: 1 })).toBe(1);
      expect(await deleteExpiredJobs(sql, { olderThanMs: 0, limit: 10 })).toBe(1);
      expect(await getJob(sql, { jobId: done[0] as JobId, keyId: null })).not.toBeNull();
      expect(await getJob(sql, { jobId: open, keyId: null })).not.toBeNull();
      expect(await listEvents(sql, { jobId: done[1] as JobId, afterSeq: 0, limit: 9 })).toEqual([]);
      expect((await orphanStaging(sql, 10)).map((row) => row.key)).toEqual(["x"]);
      expect(await orphanStaging(sql, 10, HOUR_MS)).toEqual([]);
    });

    test("answers kept for idempotency keys go when their time is over", async () => {
      const { sql, keyId } = database;
      for (const hours of [-1, -2, 1]) {
        await sql.query(
          `INSERT INTO idempotency_keys (key_id, idempotency_key, route, body_sha256, locked_until, expires_at)
           VALUES ($1, $2, '/convert', '', now(), now() + $3::integer * interval '1 hour')`,
          [keyId, `key ${hours}`, hours],
        );
      }
      expect(await deleteExpiredIdempotency(sql, { limit: 1 })).toBe(1);
      expect(await deleteExpiredIdempotency(sql, { limit: 10 })).toBe(1);
      expect(await deleteExpiredIdempotency(sql, { limit: 10 })).toBe(0);
    });

    test("a store that is away, or is no longer there, keeps nothing else from expiring", async () => {
      const { sql, keyId } = database;
      const places = ["gone", "away", "local"];
      for (const backend of places) {
        const jobId = await complete([backend]);
        await sql.query("UPDATE job_outputs SET backend = $2 WHERE job_id = $1", [jobId, backend]);
      }
      await sql.query(
        `INSERT INTO idempotency_keys (key_id, idempotency_key, route, body_sha256, locked_until, expires_at)
         VALUES ($1, 'expired', '/convert', '', now(), now())`,
        [keyId],
      );
      const away = new Error("It is away.");
      const deleted: string[] = [];
      const store = (name: string) => ({
        ...{ name, properties: { writable: true } },
        delete: async (key: string) => {
          if (name === "away") throw away;
          deleted.push(key);
          return true;
        },
      });
      const storage = { names: ["away", "local"], backend: store } as unknown as StorageRegistry;
      const deps = { sql, storage, coordination: makeMemoryCoordination(), logger: silentLogger() };
      const retention = { retentionJobsMs: null, retentionOutputsMs: 0 };
      expect(await countExpired(deps, retention)).toEqual({
        jobsWithOutputs: 2,
        jobs: 0,
        idempotencyKeys: 1,
        uploads: 0,
      });
      await expect(expire(deps, retention)).rejects.toBe(away);
      expect(deleted).toEqual(["local"]);
      expect(await countExpired(deps, retention)).toEqual({
        jobsWithOutputs: 1,
        jobs: 0,
        idempotencyKeys: 0,
        uploads: 0,
      });
    });

    test("outputs are deleted under their keys' claims, and an interrupted deletion is taken up again", async () => {
      const { sql } = database;
      const jobId = await complete(["one", "two"]);
      const first = await claimOutputsForDeletion(sql, { jobId, ordinals: [0], takeoverMs: HOUR_MS });
      expect(first.claimed.map((output) => output.key)).toEqual(["one"]);
      const second = await claimOutputsForDeletion(sql, { jobId, takeoverMs: HOUR_MS });
      expect(second.claimed.map((output) => output.key)).toEqual(["two"]);
      expect(second.busy.map((output) => output.key)).toEqual(["one"]);
      expect(await deleteExpiredJobs(sql, { olderThanMs: 0, limit: 10 })).toBe(0);
      expect(await interruptedDeletions(sql, { olderThanMs: HOUR_MS, limit: 10 })).toEqual([]);
      expect(await interruptedDeletions(sql, { olderThanMs: 0, limit: 10 })).toEqual([jobId]);
      const again = await claimOutputsForDeletion(sql, { jobId, takeoverMs: 0 });
      expect(again.claimed.length).toBe(2);
      const outcomes = [
        { ordinal: 0, gone: true },
        { ordinal: 1, gone: false },
      ];
      expect(await finishOutputDeletion(sql, { jobId, outcomes })).toBe(1);
      expect(await finishOutputDeletion(sql, { jobId, outcomes })).toBe(0);
      const outputs = await listOutputs(sql, jobId);
      expect(outputs.map((output) => output.deletedAt === null)).toEqual([false, true]);
      const last = (await listEvents(sql, { jobId, afterSeq: 0, limit: 50 })).at(-1);
      expect([last?.type, last?.data]).toEqual(["job.outputs_deleted", { ordinals: [0] }]);
    });

    test("what outputs occupy is counted with them, and no longer when they are deleted or forgotten", async () => {
      const { sql } = database;
      const usage = async () => (await storedBytes(sql)).map(({ sizeBytes, objectCount }) => [sizeBytes, objectCount]);
      const truth = async () => {
        const [row] = await sql.query<{ bytes: number; count: number }>(
          `SELECT coalesce(sum(size_bytes), 0)::integer AS bytes, count(*)::integer AS count
           FROM job_outputs WHERE deleted_at IS NULL`,
        );
        return [[row?.bytes, row?.count]];
      };
      const jobId = await complete(["usage-1", "usage-2"]);
      const whole = await usage();
      expect(whole).toEqual((await truth()) as never);
      await claimOutputsForDeletion(sql, { jobId, takeoverMs: 0 });
      const outcomes = [{ ordinal: 0, gone: true }];
      await finishOutputDeletion(sql, { jobId, outcomes });
      await finishOutputDeletion(sql, { jobId, outcomes });
      expect(await usage()).toEqual((await truth()) as never);
      expect(whole[0]?.[1]).toBe(((await usage())[0]?.[1] ?? 0) + 1);
      await finishOutputDeletion(sql, { jobId, outcomes: [{ ordinal: 1, gone: false }] });
      await sql.query("DELETE FROM staging WHERE job_id = $1", [jobId]);
      expect(await deleteExpiredJobs(sql, { olderThanMs: 0, limit: 1_000 })).toBeGreaterThan(0);
      expect(await usage()).toEqual((await truth()) as never);
      const accounts = await listStorageUsage(sql, { limit: 10 });
      expect(accounts.reduce((sum, { objectCount }) => sum + objectCount, 0)).toBe((await usage())[0]?.[1] ?? 0);
    });

    test("an output that took another job's place is counted alone, and the other's is over", async () => {
      const { sql } = database;
      const first = await complete(["replaced", "kept"]);
      const before = await storedBytes(sql);
      const second = await complete(["replaced"]);
      expect(await storedBytes(sql)).toEqual(before);
      expect(before[0]?.objectCount).toBe(2);
      const deleted = (await listOutputs(sql, first)).map(({ key, deletedAt }) => [key, deletedAt !== null]);
      expect(deleted).toEqual([
        ["replaced", true],
        ["kept", false],
      ]);
      expect((await listOutputs(sql, second)).map(({ deletedAt }) => deletedAt)).toEqual([null]);
      // Nothing is left of the replaced one to delete, so its successor's account is not touched.
      const { claimed } = await claimOutputsForDeletion(sql, { jobId: first, takeoverMs: 0 });
      expect(claimed.map(({ key }) => key)).toEqual(["kept"]);
    });

    test("the backoff is the same sum in SQL", async () => {
      for (const failures of [0, 1, 2, 5, 40]) {
        const [row] = await database.sql.query<{ ms: number }>(
          `SELECT ${backoffSql("$1::integer", "$2", "$3", "$4")} AS ms`,
          [failures, 0.375, 1_500, 90_000],
        );
        expect(row?.ms).toBe(backoffMs(failures, 0.375, 1_500, 90_000));
      }
    });

    test("a failure that may pass waits longer each time and then is final", async () => {
      const { sql } = database;
      const jobId = await submit(database);
      const workerId = await makeWorker(sql);
      const failure = {
        kind: "storage.unavailable",
        message: "The storage did not answer.",
        retryable: true,
        evidence: null,
        hint: null,
        retry: "backoff",
      } as const;
      const policy = { baseMs: 60_000, capMs: HOUR_MS, random: () => 0.999 };
      const waits: number[] = [];
      for (const expected of ["retrying", "retrying", "failed"] as const) {
        await sql.query("UPDATE jobs SET run_at = now() WHERE id = $1", [jobId]);
        const lease = await mustClaim(sql, workerId, jobId);
        expect(await writes.failJob(sql, lease, failure, { maxAttempts: 3, policy })).toBe(expected);
        const [row] = await sql.query<{ ms: number }>(
          "SELECT extract(epoch FROM run_at - updated_at)::double precision * 1000 AS ms FROM jobs WHERE id = $1",
          [jobId],
        );
        waits.push(Math.round(row?.ms ?? 0));
      }
      expect(waits.slice(0, 2)).toEqual([59_940, 119_880]);
      const job = await getJob(sql, { jobId, keyId: null });
      expect(job?.error).toEqual({
        kind: "storage.unavailable",
        message: "The storage did not answer.",
        retryable: true,
        evidence: null,
        hint: null,
      });
    });
  });
}

describe("side by side on Postgres", () => {
  test("claims never overlap and never wait for one another", async () => {
    const database = await openTestDatabase("postgres");
    const { sql } = database;
    const jobs: JobId[] = [];
    for (let job = 0; job < 60; job += 1) jobs.push(await submit(database));
    const workers = await Promise.all(Array.from({ length: 6 }, () => makeWorker(sql)));
    const claimed = await Promise.all(
      workers.map(async (workerId) => {
        const mine: JobId[] = [];
        for (;;) {
          const claim = await claimJob(sql, { workerId, jobTypes: null, priorities: null });
          // An empty answer while others hold row locks is not the end of the queue.
          if (claim !== null) mine.push(claim.job.id);
          else if ((await sql.query("SELECT FROM jobs WHERE status = 'queued' LIMIT 1")).length === 0) return mine;
        }
      }),
    );
    expect(claimed.flat().sort()).toEqual(jobs.sort());
  }, 30_000);

  test("of a cancel and a fence at the same instant exactly one wins", async () => {
    const database = await openTestDatabase("postgres");
    const { sql } = database;
    const seen = new Set<string>();
    for (let round = 0; round < 60; round += 1) {
      const jobId = await submit(database);
      const lease = await mustClaim(sql, await makeWorker(sql), jobId);
      const asked = () => cancelJob(sql, { jobId, keyId: null });
      const passed = () => writes.fence(sql, lease, manifestOf(lease, [`${round}.mp4`]), HOUR_MS);
      const [cancel, fence] =
        round % 2 === 0
          ? await Promise.all([asked(), passed()])
          : (await Promise.all([passed(), asked()])).toReversed();
      const answers = `${(cancel as { outcome: string }).outcome} ${fence}`;
      seen.add(answers);
      expect(["requested cancel_requested", "conflict fenced"]).toContain(answers);
    }
    expect(seen.size).toBeGreaterThan(0);
  }, 30_000);

  test("of a completion and a reaping at the same instant exactly one wins", async () => {
    const database = await openTestDatabase("postgres");
    const { sql } = database;
    for (let round = 0; round < 40; round += 1) {
      const jobId = await submit(database);
      const lease = await mustClaim(sql, await makeWorker(sql), jobId);
      await writes.fence(sql, lease, manifestOf(lease, [`${round}.mp4`]), HOUR_MS);
      await workerLeft(sql, lease.workerId);
      const [completed, reaped] = await Promise.all([
        writes.completeJob(sql, lease, { outputs: [{ ordinal: 0, identity: "seen" }] }),
        reapDeadWorkers(sql, REAP),
      ]);
      expect(completed).toBe(reaped.length === 0);
      const events = await listEvents(sql, { jobId, afterSeq: 0, limit: 50 });
      expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
      expect(events.at(-1)?.type).toBe(completed ? "job.completed" : "job.reaped");
    }
  }, 30_000);
});

/** Creating, reading, listing and ordering jobs, on both engines. */
import { beforeAll, describe, expect, test } from "bun:test";
import * as writes from "../../src/jobs/attempt-writes.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { listJobs } from "../../src/jobs/list.ts";
import { nextDueMs, queueStats, readyHints } from "../../src/jobs/ready.ts";
import { retryJob } from "../../src/jobs/retry.ts";
import { getJob, listAttempts, listEvents, listOutputs, setPriority } from "../../src/jobs/store.ts";
import type { JobId, KeyId, Lease, Priority } from "../../src/jobs/types.ts";
import {
  ENGINES,
  insertKey,
  makeWorker,
  manifestOf,
  mustClaim,
  newJobId,
  openTestDatabase,
  submit,
  type TestDatabase,
} from "../faults/protocol-harness.ts";

for (const engine of ENGINES) {
  describe(engine, () => {
    let database: TestDatabase;
    beforeAll(async () => {
      database = await openTestDatabase(engine);
    });

    const complete = async (jobId: JobId): Promise<Lease> => {
      const { sql } = database;
      const lease = await mustClaim(sql, await makeWorker(sql), jobId);
      const manifest = manifestOf(lease, [`${jobId}/a`, `${jobId}/b`]);
      await writes.fence(sql, lease, manifest, 60_000);
      const outputs = manifest.steps.map(({ ordinal }) => ({ ordinal, identity: `identity ${ordinal}` }));
      await writes.completeJob(sql, lease, { outputs, metrics: { processing_time: 2.5 } });
      return lease;
    };

    test("a new job is queued, with its first event and what it was given", async () => {
      const jobId = await submit(database, {
        metadata: { project: "é'\"\\" },
        priority: "high",
        webhookEvents: ["completed", "it's"],
        requestId: "request-1",
        warnings: ["the extension says another format"],
      });
      const job = await getJob(database.sql, { jobId, keyId: database.keyId });
      expect(job).toMatchObject({
        status: "queued",
        stage: null,
        priority: "high",
        spec: { input_path: "local://in.mov" },
        metadata: { project: "é'\"\\" },
        webhookEvents: ["completed", "it's"],
        requestId: "request-1",
        warnings: ["the extension says another format"],
        attempt: 0,
        leaseToken: 0,
        logSeq: 1,
        startedAt: null,
      });
      const events = await listEvents(database.sql, { jobId, afterSeq: 0, limit: 10 });
      expect(events.map(({ seq, type, data }) => ({ seq, type, data }))).toEqual([
        { seq: 1, type: "job.queued", data: { type: "convert", priority: "high" } },
      ]);
    });

    test("a string is a spec too: jsonb is never encoded twice", async () => {
      const jobId = await submit(database, { spec: "text" });
      expect((await getJob(database.sql, { jobId, keyId: null }))?.spec).toBe("text");
    });

    test("another key's job is not there, and an id that is no id names none", async () => {
      const jobId = await submit(database);
      const stranger = await insertKey(database.sql);
      expect(await getJob(database.sql, { jobId, keyId: stranger })).toBeNull();
      expect(await getJob(database.sql, { jobId, keyId: null })).not.toBeNull();
      expect(await getJob(database.sql, { jobId: "../etc", keyId: null })).toBeNull();
      const change = await setPriority(database.sql, { jobId, keyId: stranger, priority: "low" });
      expect(change.outcome).toBe("not_found");
    });

    test("a completed job tells its outputs, metrics, results and attempts", async () => {
      const jobId = await submit(database);
      const lease = await complete(jobId);
      const job = await getJob(database.sql, { jobId, keyId: null });
      expect(job).toMatchObject({
        status: "completed",
        progress: 100,
        manifest: null,
        workerId: null,
        results: { made: 2 },
        metrics: { input_bytes: 5, output_bytes: 10, processing_time: 2.5 },
        warnings: ["made by a test"],
      });
      const outputs = await listOutputs(database.sql, jobId);
      expect(
        outputs.map((output) => [output.ordinal, output.role, output.key, output.identity, output.sizeBytes]),
      ).toEqual([
        [0, "primary", `${jobId}/a`, "identity 0", 1_000],
        [1, "thumbnail", `${jobId}/b`, "identity 1", 1_001],
      ]);
      const [attempt] = await listAttempts(database.sql, jobId);
      expect(attempt).toMatchObject({ attempt: 1, leaseToken: lease.leaseToken, outcome: "completed" });
      const last = (await listEvents(database.sql, { jobId, afterSeq: 0, limit: 50 })).at(-1);
      expect(last?.type).toBe("job.completed");
      expect(last?.data).toMatchObject({ metrics: { output_bytes: 10 }, outputs: [{ ordinal: 0 }, { ordinal: 1 }] });
    });

    test("events are read from a sequence on", async () => {
      const jobId = await submit(database);
      const lease = await mustClaim(database.sql, await makeWorker(database.sql), jobId);
      await writes.recordStage(database.sql, lease, "probing");
      const page = await listEvents(database.sql, { jobId, afterSeq: 1, limit: 1 });
      expect(page.map((event) => [event.seq, event.type])).toEqual([[2, "job.started"]]);
    });

    test("claims take the classes in order, and first come first served inside a class", async () => {
      await database.sql.query("DELETE FROM jobs");
      const submitted: [Priority, JobId][] = [];
      for (const priority of ["low", "normal", "high", "normal", "high"] as const) {
        submitted.push([priority, await submit(database, { priority })]);
      }
      const expected = (["high", "normal", "low"] as const).flatMap((priority) =>
        submitted.filter(([given]) => given === priority).map(([, jobId]) => jobId),
      );
      const hints = await readyHints(database.sql, { limit: 10 });
      expect(hints.map((hint) => hint.jobId as JobId)).toEqual(expected);
      const [first] = await readyHints(database.sql, { limit: 1 });
      if (first === undefined) throw new Error("There is no hint.");
      const rest = await readyHints(database.sql, { limit: 10, after: first });
      expect(rest.map((hint) => hint.jobId as JobId)).toEqual(expected.slice(1));
      const workerId = await makeWorker(database.sql);
      const claimed: JobId[] = [];
      for (let job = 0; job < submitted.length; job += 1) {
        const claim = await claimJob(database.sql, { workerId, jobTypes: null, priorities: null });
        if (claim !== null) claimed.push(claim.job.id);
      }
      expect(claimed).toEqual(expected);
    });

    test("a worker claims only what it serves", async () => {
      await database.sql.query("DELETE FROM jobs");
      await submit(database, { priority: "high" });
      const workerId = await makeWorker(database.sql);
      expect(await claimJob(database.sql, { workerId, jobTypes: ["stream"], priorities: null })).toBeNull();
      expect(await claimJob(database.sql, { workerId, jobTypes: null, priorities: ["low", "normal"] })).toBeNull();
      expect(await claimJob(database.sql, { workerId, jobTypes: ["convert"], priorities: ["high"] })).not.toBeNull();
    });

    test("a change of priority moves the job to the end of the other class", async () => {
      await database.sql.query("DELETE FROM jobs");
      const moved = await submit(database, { priority: "low" });
      const ahead = await submit(database, { priority: "normal" });
      const { outcome, job } = await setPriority(database.sql, { jobId: moved, keyId: null, priority: "normal" });
      expect([outcome, job?.priority]).toEqual(["changed", "normal"]);
      const hints = await readyHints(database.sql, { limit: 10 });
      expect(hints.map((hint) => hint.jobId as JobId)).toEqual([ahead, moved]);
      const again = await setPriority(database.sql, { jobId: moved, keyId: null, priority: "normal" });
      expect([again.outcome, again.job?.logSeq]).toEqual(["changed", job?.logSeq]);
      await complete(moved);
      const late = await setPriority(database.sql, { jobId: moved, keyId: null, priority: "high" });
      expect(late.outcome).toBe("conflict");
    });

    test("the queue tells its depth, its longest wait and when the next delayed job is due", async () => {
      await database.sql.query("DELETE FROM jobs");
      expect(await nextDueMs(database.sql)).toBeNull();
      await submit(database, { priority: "low" });
      const delayed = await submit(database);
      const lease = await mustClaim(database.sql, await makeWorker(database.sql), delayed);
      await writes.snooze(database.sql, lease, { delayMs: 3_600_000 });
      await mustClaim(database.sql, await makeWorker(database.sql), await submit(database));
      const stats = await queueStats(database.sql);
      expect(stats.processing).toBe(1);
      expect(stats.byPriority.low.ready).toBe(1);
      expect(stats.byPriority.low.oldestWaitSeconds).toBeGreaterThanOrEqual(0);
      expect(stats.byPriority.normal).toEqual({ ready: 0, delayed: 1, oldestWaitSeconds: 0 });
      const job = await getJob(database.sql, { jobId: delayed, keyId: null });
      const [row] = await database.sql.query<{ ms: number }>(
        "SELECT (extract(epoch FROM run_at - now()) * 1000)::double precision AS ms FROM jobs WHERE id = $1",
        [job?.id ?? ""],
      );
      expect(await nextDueMs(database.sql)).toBeWithin((row?.ms ?? 0) - 60_000, (row?.ms ?? 0) + 1);
    });

    test("retrying makes a new job with the same spec, once the old one has ended", async () => {
      const jobId = await submit(database, { spec: { n: 1 }, metadata: { m: 1 }, priority: "low" });
      const early = await retryJob(database.sql, { jobId, keyId: null, newId: newJobId() });
      expect(early.outcome).toBe("conflict");
      await complete(jobId);
      const newId = newJobId();
      const { outcome, job } = await retryJob(database.sql, { jobId, keyId: database.keyId, newId });
      expect(outcome).toBe("created");
      expect(job).toMatchObject({
        id: newId,
        status: "queued",
        retryOf: jobId,
        keyId: database.keyId,
        spec: { n: 1 },
        metadata: { m: 1 },
        priority: "low",
        attempt: 0,
      });
      const stranger = await insertKey(database.sql);
      expect((await retryJob(database.sql, { jobId, keyId: stranger, newId: newJobId() })).outcome).toBe("not_found");
    });

    describe("listing", () => {
      let keyId: KeyId;
      let ids: JobId[];
      beforeAll(async () => {
        keyId = await insertKey(database.sql);
        ids = [];
        for (let job = 0; job < 7; job += 1) {
          const metadata = { n: job, even: job % 2 === 0, name: `job ${job}` };
          ids.push(await submit({ ...database, keyId }, { metadata, priority: job < 3 ? "high" : "low" }));
        }
        await complete(ids[0] as JobId);
      });

      test("cursors walk through every job once, in either direction", async () => {
        for (const sort of ["created_at", "-created_at"] as const) {
          const found: JobId[] = [];
          let cursor: string | undefined;
          do {
            const page = await listJobs(database.sql, {
              keyId,
              sort,
              limit: 3,
              ...(cursor === undefined ? {} : { cursor }),
            });
            expect(page.total).toBe(7);
            expect(page.hasNext).toBe(page.nextCursor !== null);
            found.push(...page.items.map((job) => job.id));
            cursor = page.nextCursor ?? undefined;
          } while (cursor !== undefined);
          expect(found).toEqual(sort === "created_at" ? ids : ids.toReversed());
        }
      });

      test("pages, filters and totals agree", async () => {
        const list = (filter: object) => listJobs(database.sql, { keyId, sort: "created_at", limit: 10, ...filter });
        expect((await list({ offset: 5 })).items.map((job) => job.id)).toEqual(ids.slice(5));
        expect((await list({ status: ["completed"] })).items.map((job) => job.id)).toEqual(ids.slice(0, 1));
        expect((await list({ status: ["completed", "queued"], type: ["convert"] })).total).toBe(7);
        expect((await list({ type: ["stream"] })).total).toBe(0);
        expect((await list({ metadata: { n: "3" } })).items.map((job) => job.id)).toEqual(ids.slice(3, 4));
        expect((await list({ metadata: { even: "true", name: "job 2" } })).total).toBe(1);
        expect((await list({ metadata: { name: "job 2", n: "3" } })).total).toBe(0);
        expect((await list({ batchId: "no uuid" })).total).toBe(0);
        const middle = (await getJob(database.sql, { jobId: ids[3] as JobId, keyId: null }))?.createdAt;
        if (middle === undefined) throw new Error("The job is gone.");
        const after = new Date(middle.getTime() + 3_600_000);
        expect((await list({ createdAfter: after })).total).toBe(0);
        expect((await list({ createdBefore: after })).total).toBe(7);
        expect((await listJobs(database.sql, { keyId: null, sort: "created_at", limit: 1 })).total).toBeGreaterThan(7);
      });

      test("a cursor that is not ours is refused", async () => {
        const list = listJobs(database.sql, { keyId, sort: "created_at", limit: 3, cursor: "'; DROP TABLE jobs" });
        expect(await list.catch((error) => error)).toMatchObject({ kind: "request.invalid" });
      });
    });
  });
}

/**
 * The statements under random histories: claims, stalls, ticks, finishes, cancels, reaps and lost replies in any order,
 * next to a model that knows only who was told that he holds what.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import * as writes from "../../src/jobs/attempt-writes.ts";
import { cancelJob } from "../../src/jobs/cancel.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { heartbeat } from "../../src/jobs/liveness.ts";
import { readyHints } from "../../src/jobs/ready.ts";
import { reapDeadWorkers } from "../../src/jobs/reap.ts";
import { getJob, listAttempts, listEvents } from "../../src/jobs/store.ts";
import type { JobId, Lease, WorkerId } from "../../src/jobs/types.ts";
import {
  ENGINES,
  type EngineName,
  makeWorker,
  manifestOf,
  openTestDatabase,
  passTicks,
  submit,
  type TestDatabase,
} from "../faults/protocol-harness.ts";
import { testEnv } from "../support/env.ts";

const WORKERS = 3;
const JOBS = 3;
const REAP = { ticksBehind: 3, poisonAfter: 3, limit: 100 };
const AT_ONCE = { baseMs: 0, capMs: 0, random: () => 0 };
const FAILURE = { kind: "ffmpeg.failed", message: "It failed.", retryable: true, evidence: null, hint: null } as const;

type Action =
  | { readonly type: "claim"; readonly worker: number; readonly replyLost: boolean }
  | { readonly type: "heartbeat"; readonly worker: number }
  | { readonly type: "tick" }
  | { readonly type: "reap" }
  | { readonly type: "cancel"; readonly job: number }
  /** By a lease that was given out at any time: most of them are stale. */
  | { readonly type: "write"; readonly lease: number; readonly write: Write };

const WRITES = ["stage", "fence", "complete", "fail", "fail for good", "confirm", "snooze", "give back"] as const;
type Write = (typeof WRITES)[number];
const ENDS: ReadonlySet<Write> = new Set(["complete", "fail", "fail for good", "confirm", "snooze", "give back"]);

const index = (count: number) => fc.nat({ max: count - 1 });
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ type: fc.constant("claim" as const), worker: index(WORKERS), replyLost: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("heartbeat" as const), worker: index(WORKERS) }) },
  { weight: 2, arbitrary: fc.constant({ type: "tick" as const }) },
  { weight: 2, arbitrary: fc.constant({ type: "reap" as const }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("cancel" as const), job: index(JOBS) }) },
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant("write" as const),
      // Counted from the newest, so that leases that still hold are tried often.
      lease: fc.nat({ max: 4 }),
      write: fc.constantFrom(...WRITES),
    }),
  },
);

class Model {
  readonly leases: Lease[] = [];
  /** Job → token of its holder. */
  readonly holders = new Map<JobId, number>();
  readonly tokens = new Map<JobId, number>();
  readonly attempts = new Map<JobId, number>();

  constructor(
    readonly database: TestDatabase,
    readonly workers: readonly WorkerId[],
    readonly jobs: readonly JobId[],
  ) {}

  async run(step: Action): Promise<void> {
    const { sql } = this.database;
    switch (step.type) {
      case "claim":
        return this.claim(this.workers[step.worker] as WorkerId, step.replyLost);
      case "heartbeat": {
        const { held } = await heartbeat(sql, { workerId: this.workers[step.worker] as WorkerId });
        for (const lease of held) expect(this.holders.get(lease.jobId)).toBe(lease.leaseToken);
        return;
      }
      case "tick":
        return passTicks(sql, 1);
      case "reap":
        for (const job of await reapDeadWorkers(sql, REAP)) expect(this.holders.delete(job.jobId)).toBe(true);
        return;
      case "cancel":
        await cancelJob(sql, { jobId: this.jobs[step.job] as JobId, keyId: null });
        return;
      case "write": {
        const lease = this.leases.at(-1 - step.lease);
        return lease === undefined ? undefined : this.write(lease, step.write);
      }
    }
  }

  async claim(workerId: WorkerId, replyLost: boolean): Promise<void> {
    const claim = await claimJob(this.database.sql, { workerId, jobTypes: null, priorities: null });
    if (claim === null) return;
    const { jobId, leaseToken } = claim.lease;
    expect(this.holders.has(jobId), "a job was claimed while it was held").toBe(false);
    expect(leaseToken).toBeGreaterThan(this.tokens.get(jobId) ?? 0);
    expect(claim.job.attempt).toBe((this.attempts.get(jobId) ?? 0) + 1);
    this.holders.set(jobId, leaseToken);
    this.tokens.set(jobId, leaseToken);
    this.attempts.set(jobId, claim.job.attempt);
    if (!replyLost) this.leases.push(claim.lease);
  }

  async write(lease: Lease, write: Write): Promise<void> {
    const before = await getJob(this.database.sql, { jobId: lease.jobId, keyId: null });
    const accepted = await this.send(lease, write);
    const after = await getJob(this.database.sql, { jobId: lease.jobId, keyId: null });
    const held = this.holders.get(lease.jobId) === lease.leaseToken;
    if (!held) {
      expect(after, `a late ${write} changed the row`).toEqual(before);
      return;
    }
    if (accepted && ENDS.has(write)) this.holders.delete(lease.jobId);
  }

  async send(lease: Lease, write: Write): Promise<boolean> {
    const { sql } = this.database;
    switch (write) {
      case "stage":
        return writes.recordStage(sql, lease, "encoding");
      case "fence": {
        const job = await getJob(sql, { jobId: lease.jobId, keyId: null });
        // A manifest of an earlier token is rolled forward; the fence is not asked for it.
        if (job?.manifest !== null) return false;
        return (await writes.fence(sql, lease, manifestOf(lease, ["same.mp4"]), 0)) === "fenced";
      }
      case "complete":
        return writes.completeJob(sql, lease, { outputs: [{ ordinal: 0, identity: "seen" }] });
      case "fail":
      case "fail for good": {
        const failure = { ...FAILURE, retry: write === "fail" ? ("backoff" as const) : ("never" as const) };
        return (await writes.failJob(sql, lease, failure, { maxAttempts: 3, policy: AT_ONCE })) !== "lost";
      }
      case "confirm":
        return writes.confirmCancelled(sql, lease);
      case "snooze":
        return writes.snooze(sql, lease);
      case "give back":
        return writes.giveBack(sql, lease);
    }
  }

  /** No job is lost: each has ended once, is held, or waits where a claim finds it. */
  async check(): Promise<void> {
    const { sql } = this.database;
    const ready = new Set((await readyHints(sql, { limit: 100 })).map((hint) => hint.jobId));
    for (const jobId of this.jobs) {
      const job = await getJob(sql, { jobId, keyId: null });
      const events = await listEvents(sql, { jobId, afterSeq: 0, limit: 1_000 });
      expect(events.map((event) => event.seq)).toEqual(events.map((_, position) => position + 1));
      const ends = events.filter((event) => ["job.completed", "job.failed", "job.cancelled"].includes(event.type));
      const final = job?.completedAt !== null;
      expect(ends.map((event) => event.type)).toEqual(final ? [`job.${job?.status}` as "job.completed"] : []);
      expect(this.holders.has(jobId)).toBe(job?.status === "processing");
      expect(ready.has(jobId)).toBe(job?.status === "queued");
      const attempts = await listAttempts(sql, jobId);
      expect(attempts.map((attempt) => attempt.attempt)).toEqual(attempts.map((_, position) => position + 1));
      const running = attempts.filter((attempt) => attempt.endedAt === null);
      expect(running.length).toBe(job?.status === "processing" ? 1 : 0);
    }
  }
}

async function history(database: TestDatabase, actions: readonly Action[]): Promise<void> {
  const { sql } = database;
  for (const table of ["jobs", "output_claims", "workers"]) await sql.query(`DELETE FROM ${table}`);
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => makeWorker(sql)));
  const jobs: JobId[] = [];
  for (let job = 0; job < JOBS; job += 1) jobs.push(await submit(database));
  const model = new Model(database, workers, jobs);
  for (const step of actions) await model.run(step);
  await model.check();
}

const RUNS: Record<EngineName, number> = testEnv().long
  ? { pglite: 300, postgres: 2_000 }
  : { pglite: 25, postgres: 100 };

describe("random histories keep every job single and accounted for", () => {
  for (const engine of ENGINES) {
    test(
      engine,
      async () => {
        const database = await openTestDatabase(engine);
        await fc.assert(
          fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 60, size: "max" }), (actions) =>
            history(database, actions),
          ),
          { numRuns: RUNS[engine] },
        );
      },
      testEnv().long ? 900_000 : 60_000,
    );
  }
});

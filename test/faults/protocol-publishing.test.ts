/** Each rule about the fence, publishing and finishing, with it and without it. */
import * as writes from "../../src/jobs/attempt-writes.ts";
import { cancelJob } from "../../src/jobs/cancel.ts";
import * as guards from "../../src/jobs/guards.ts";
import { reapDeadWorkers, workerLeft } from "../../src/jobs/liveness.ts";
import { inPublishingOrder } from "../../src/jobs/publish-order.ts";
import { getJob, listEvents, listOutputs } from "../../src/jobs/store.ts";
import type { Job, JobFailure, JobId, Lease, PublishManifest } from "../../src/jobs/types.ts";
import type { StagedBytes } from "../../src/storage/port.ts";
import { ENGINES, makeWorker, manifestOf, mustClaim, stepOf, submit, type TestDatabase } from "./protocol-harness.ts";
import { type Rule, testRules } from "./protocol-rules.ts";
import { MemoryStore } from "./simulation-store.ts";

const HOUR_MS = 3_600_000;
const REAP = { ticksBehind: 3, poisonAfter: 3, limit: 100 };
const TIMED_OUT: JobFailure = {
  kind: "job.publish_timeout",
  message: "The outputs could not be published in time.",
  retryable: true,
  evidence: null,
  hint: null,
};

async function read(database: TestDatabase, jobId: JobId): Promise<Job> {
  const job = await getJob(database.sql, { jobId, keyId: null });
  if (job === null) throw new Error("The job is gone.");
  return job;
}

async function start(database: TestDatabase): Promise<{ jobId: JobId; lease: Lease }> {
  const jobId = await submit(database);
  return { jobId, lease: await mustClaim(database.sql, await makeWorker(database.sql), jobId) };
}

/** The holder dies and another worker takes the job over. */
async function takeOver(database: TestDatabase, lease: Lease): Promise<Lease> {
  await workerLeft(database.sql, lease.workerId);
  await reapDeadWorkers(database.sql, REAP);
  return mustClaim(database.sql, await makeWorker(database.sql), lease.jobId);
}

function staged(store: MemoryStore, lease: Lease, key: string): { bytes: StagedBytes; manifest: PublishManifest } {
  const bytes = store.stage(key, { jobId: lease.jobId, leaseToken: lease.leaseToken });
  return { bytes, manifest: { ...manifestOf(lease, []), steps: [{ ...stepOf(lease, 0, key), staged: bytes }] } };
}

const fence: Rule[] = [
  {
    name: "the fence refuses a job whose cancel was requested",
    off: [[guards.NOT_CANCELLED, "TRUE"]],
    async scenario({ sql, database }) {
      const { jobId, lease } = await start(database);
      const { outcome } = await cancelJob(database.sql, { jobId, keyId: null });
      const passed = await writes.fence(sql, lease, manifestOf(lease, ["out.mp4"]), HOUR_MS);
      return outcome === "requested" && passed === "fenced" ? "a cancel was promised and the job is published" : null;
    },
  },
  {
    name: "the fence is closed to an attempt that lost its lease",
    off: [
      [guards.HAS_TOKEN, "$2::bigint IS NOT NULL"],
      [guards.HAS_WORKER, "$3::uuid IS NOT NULL"],
    ],
    async scenario({ sql, database }) {
      const { lease } = await start(database);
      const current = await takeOver(database, lease);
      await writes.fence(sql, lease, manifestOf(lease, ["out.mp4"]), HOUR_MS);
      const answer = await writes.readFence(database.sql, current);
      const job = await read(database, lease.jobId);
      return job.manifest === null && answer === "not_fenced" ? null : "a dead attempt's outputs were committed";
    },
  },
  {
    name: "an output key belongs to one publishing job at a time",
    off: [
      [guards.NO_KEY_IS_BUSY, "TRUE"],
      ["ORDER BY w.backend, w.key)", "ORDER BY w.backend, w.key ON CONFLICT DO NOTHING)"],
    ],
    async scenario({ sql, database }) {
      const store = new MemoryStore();
      const one = await start(database);
      const two = await start(database);
      const first = staged(store, one.lease, "same.mp4");
      const second = staged(store, two.lease, "same.mp4");
      await writes.fence(sql, one.lease, first.manifest, HOUR_MS);
      const waits = await writes.fence(sql, two.lease, second.manifest, HOUR_MS);
      const seen = store.publish(first.bytes);
      if (waits === "fenced") store.publish(second.bytes);
      if (seen.outcome === "lost") throw new Error("The first publication was lost.");
      await writes.completeJob(sql, one.lease, { outputs: [{ ordinal: 0, identity: seen.identity }] });
      const [output] = await listOutputs(database.sql, one.jobId);
      return store.visible.get("same.mp4")?.identity === output?.identity
        ? null
        : "a job completed while its key held another job's object";
    },
  },
  {
    name: "a job that has to wait for a key holds none",
    off: [[guards.NO_KEY_IS_BUSY, "(SELECT count(*) FROM busy) < (SELECT count(*) FROM wanted)"]],
    async scenario({ sql, database }) {
      const one = await start(database);
      const two = await start(database);
      await writes.fence(database.sql, one.lease, manifestOf(one.lease, ["b.mp4"]), HOUR_MS);
      await writes.fence(sql, two.lease, manifestOf(two.lease, ["a.mp4", "b.mp4"]), HOUR_MS).catch(() => "refused");
      const [held] = await database.sql.query<{ n: number }>(
        "SELECT count(*)::integer AS n FROM output_claims WHERE job_id = $1",
        [two.jobId],
      );
      // Switched off, the statement itself breaks on the key that is taken: the harm is an error instead of an answer.
      const answer = await writes
        .fence(sql, two.lease, manifestOf(two.lease, ["a.mp4", "b.mp4"]), HOUR_MS)
        .catch(() => "error");
      return held?.n === 0 && typeof answer === "object" ? null : "waiting is an error, or holds what others need";
    },
  },
  {
    name: "an unknown outcome of the fence is settled by reading the row",
    off: [],
    async scenario({ sql, database, ruled }) {
      const store = new MemoryStore();
      const { jobId, lease } = await start(database);
      const { bytes, manifest } = staged(store, lease, "out.mp4");
      // The statement commits and its reply is lost.
      await writes.fence(sql, lease, manifest, HOUR_MS);
      const known = ruled ? await writes.readFence(sql, lease) : "lost";
      if (known !== "fenced") store.abort(bytes);
      const current = await takeOver(database, lease);
      const { outcome } = store.publish(bytes);
      return outcome === "published" ? null : `job ${jobId} of token ${current.leaseToken} has nothing left to publish`;
    },
  },
  {
    name: "playlists and manifests come last",
    off: [],
    async scenario({ sql, database, ruled }) {
      const { lease } = await start(database);
      const playlist = { ...stepOf(lease, 0, "main.m3u8"), role: "manifest" as const };
      const steps = [playlist, { ...stepOf(lease, 1, "0.ts"), role: "segment" as const }];
      const manifest = { ...manifestOf(lease, []), steps: ruled ? inPublishingOrder(steps) : steps };
      const answer = await writes.fence(sql, lease, manifest, HOUR_MS).catch(() => "refused");
      return answer === "fenced" ? null : "a reader finds a playlist before what it names";
    },
  },
];

const publishing: Rule[] = [
  {
    name: "publishing consumes its source",
    off: [],
    async scenario({ sql, database, ruled }) {
      const store = new MemoryStore(ruled);
      const one = await start(database);
      const first = staged(store, one.lease, "same.mp4");
      await writes.fence(sql, one.lease, first.manifest, HOUR_MS);
      const successor = await takeOver(database, one.lease);
      const seen = store.publish(first.bytes);
      if (seen.outcome === "lost") throw new Error("The publication was lost.");
      await writes.completeJob(sql, successor, { outputs: [{ ordinal: 0, identity: seen.identity }] });
      const two = await start(database);
      const second = staged(store, two.lease, "same.mp4");
      await writes.fence(sql, two.lease, second.manifest, HOUR_MS);
      store.publish(second.bytes);
      // The first holder was frozen inside its publication and thaws.
      store.publish(first.bytes);
      return store.visible.get("same.mp4")?.jobId === two.jobId ? null : "a frozen copy landed later and overwrote";
    },
  },
  {
    name: "a takeover rolls the manifest forward; it never makes another",
    off: [[guards.NOT_PUBLISHING, "TRUE"]],
    async scenario({ sql, database }) {
      const { lease } = await start(database);
      await writes.fence(database.sql, lease, manifestOf(lease, ["out.mp4"]), HOUR_MS);
      const current = await takeOver(database, lease);
      await writes.fence(sql, current, manifestOf(current, ["out.mp4"]), HOUR_MS).catch(() => "refused");
      const { manifest } = await read(database, lease.jobId);
      return manifest?.leaseToken === lease.leaseToken ? null : "half of one result and half of another are visible";
    },
  },
  {
    name: "every output is looked at before the commit",
    off: [[guards.ALL_OUTPUTS_SEEN, "TRUE"]],
    async scenario({ sql, database }) {
      const { jobId, lease } = await start(database);
      await writes.fence(database.sql, lease, manifestOf(lease, ["a.mp4", "b.png"]), HOUR_MS);
      const outputs = [{ ordinal: 0, identity: "seen" }];
      await writes.completeJob(sql, lease, { outputs }).catch(() => false);
      const { status } = await read(database, jobId);
      return status === "completed" ? "a job completed with an output that nobody saw" : null;
    },
  },
  {
    name: "only what passed the fence completes",
    off: [[guards.IS_PUBLISHING, "TRUE"]],
    async scenario({ sql, database }) {
      const { jobId, lease } = await start(database);
      await writes.completeJob(sql, lease, { outputs: [] }).catch(() => false);
      const { status } = await read(database, jobId);
      return status === "completed" ? "a job completed and nothing was published" : null;
    },
  },
  {
    name: "publishing is given up only after PUBLISH_TIMEOUT",
    off: [[guards.PUBLISH_IS_OVERDUE, "TRUE"]],
    async scenario({ sql, database }) {
      const { lease } = await start(database);
      await writes.fence(database.sql, lease, manifestOf(lease, ["out.mp4"]), HOUR_MS);
      const answer = await writes.failPublishing(sql, lease, TIMED_OUT);
      return answer === "failed" ? "a job failed that could still have been published" : null;
    },
  },
  {
    name: "after PUBLISH_TIMEOUT the upload is aborted first, then looked at",
    off: [],
    async scenario({ sql, database, ruled }) {
      const store = new MemoryStore();
      const { jobId, lease } = await start(database);
      const { bytes, manifest } = staged(store, lease, "out.mp4");
      await writes.fence(sql, lease, manifest, 0);
      const current = await takeOver(database, lease);
      if (ruled) store.abort(bytes);
      if (store.settle(bytes).state !== "published") await writes.failPublishing(sql, current, TIMED_OUT);
      // The first holder's publication lands after the verdict.
      store.publish(bytes);
      const { status } = await read(database, jobId);
      return status === "failed" && store.visible.has("out.mp4") ? "the output of a failed job became visible" : null;
    },
  },
  {
    name: "the finish is one statement: status, outputs, keys and event together",
    off: [["INSERT INTO job_logs (job_id, seq, type, data)", ""]],
    async scenario({ sql, database }) {
      const { jobId, lease } = await start(database);
      await writes.fence(database.sql, lease, manifestOf(lease, ["out.mp4"]), HOUR_MS);
      await writes.completeJob(sql, lease, { outputs: [{ ordinal: 0, identity: "seen" }] });
      const events = await listEvents(database.sql, { jobId, afterSeq: 0, limit: 100 });
      const ends = events.filter((event) => event.type === "job.completed").length;
      return ends === 1 ? null : `the job is completed and has ${ends} completion events`;
    },
  },
  {
    name: "the finish frees the keys",
    off: [["DELETE FROM output_claims c USING finished f WHERE c.job_id = f.id", "SELECT"]],
    async scenario({ sql, database }) {
      const one = await start(database);
      await writes.fence(database.sql, one.lease, manifestOf(one.lease, ["same.mp4"]), HOUR_MS);
      await writes.completeJob(sql, one.lease, { outputs: [{ ordinal: 0, identity: "seen" }] });
      const two = await start(database);
      const answer = await writes.fence(database.sql, two.lease, manifestOf(two.lease, ["same.mp4"]), HOUR_MS);
      return answer === "fenced" ? null : "the next job waits for a key that nobody uses";
    },
  },
];

for (const engine of ENGINES) testRules(engine, [...fence, ...publishing]);

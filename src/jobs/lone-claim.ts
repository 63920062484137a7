/** A job that is in no database, and its only attempt: for one who converts without a server. */
import type { Claim, Job, JobId, KeyId, WorkerId } from "./types.ts";

export function makeLoneClaim(overrides: Partial<Job> = {}): Claim {
  const now = new Date();
  const lease = { jobId: Bun.randomUUIDv7() as JobId, leaseToken: 1, workerId: Bun.randomUUIDv7() as WorkerId };
  const job: Job = {
    ...{ id: lease.jobId, keyId: Bun.randomUUIDv7() as KeyId, type: "convert", status: "processing" },
    ...{ stage: "downloading", progress: 0, priority: "high", queueRank: 0, spec: {}, metadata: {}, plan: null },
    ...{ results: null, error: null, warnings: [], metrics: {}, manifest: null },
    ...{ attempt: 1, failureCount: 0, crashCount: 0, leaseToken: 1, workerId: lease.workerId, logSeq: 0 },
    ...{ runAt: now, cancelRequestedAt: null, batchId: null, retryOf: null, webhookUrl: null, webhookEvents: [] },
    ...{
      requestId: null,
      traceparent: null,
      unfit: [],
      createdAt: now,
      startedAt: now,
      completedAt: null,
      updatedAt: now,
    },
    ...overrides,
  };
  return { lease, job };
}

/** What has expired is deleted in batches: by the reconciler now and then, and by an administrator's hand. */
import type { SqlRunner } from "../database/sql.ts";
import { deleteExpiredBatches } from "./batch.ts";
import { type DeleteOutputsDeps, deleteOutputs } from "./delete-outputs.ts";
import { IS_FINAL } from "./guards.ts";
import { deleteExpiredIdempotency, deleteExpiredJobs, expiredOutputs, interruptedDeletions } from "./retention.ts";
import { milliseconds } from "./statements.ts";
import type { JobId } from "./types.ts";

const BATCH = 100;
/** Longer than a delete request to a store can take. */
const INTERRUPTED_MS = 120_000;

export interface Retention {
  /** Null keeps for ever. */
  readonly retentionJobsMs: number | null;
  readonly retentionOutputsMs: number | null;
}

export interface CleanupCounts {
  /** Jobs whose outputs go; the jobs stay until their own time is over. */
  readonly jobsWithOutputs: number;
  readonly jobs: number;
  readonly idempotencyKeys: number;
}

async function deleteAll(deps: DeleteOutputsDeps, jobIds: readonly JobId[]): Promise<number> {
  for (const jobId of jobIds) await deleteOutputs(deps, jobId);
  return jobIds.length;
}

/** One batch of each; call again while a count is not 0. */
export async function expire(
  deps: DeleteOutputsDeps,
  { retentionJobsMs, retentionOutputsMs }: Retention,
): Promise<CleanupCounts> {
  const { sql } = deps;
  const limit = BATCH;
  let jobsWithOutputs = await deleteAll(deps, await interruptedDeletions(sql, { olderThanMs: INTERRUPTED_MS, limit }));
  let jobs = 0;
  if (retentionOutputsMs !== null) {
    const expired = await expiredOutputs(sql, { olderThanMs: retentionOutputsMs, limit });
    jobsWithOutputs += await deleteAll(deps, expired);
  }
  if (retentionJobsMs !== null) {
    jobs = await deleteExpiredJobs(sql, { olderThanMs: retentionJobsMs, limit });
    await deleteExpiredBatches(sql, { olderThanMs: retentionJobsMs, limit });
  }
  return { jobsWithOutputs, jobs, idempotencyKeys: await deleteExpiredIdempotency(sql, { limit }) };
}

const COUNT = `SELECT
  (SELECT count(*)::integer FROM jobs j WHERE ${IS_FINAL} AND j.completed_at <= now() - ${milliseconds("$1")}) AS jobs,
  (SELECT count(*)::integer FROM jobs j WHERE ${IS_FINAL} AND j.completed_at <= now() - ${milliseconds("$2")}
    AND EXISTS (SELECT FROM job_outputs o WHERE o.job_id = j.id AND o.deleted_at IS NULL)) AS outputs,
  (SELECT count(*)::integer FROM idempotency_keys k WHERE k.expires_at <= now()) AS keys`;

/** What `expire` would come to, without deleting anything. */
export async function countExpired(
  sql: SqlRunner,
  { retentionJobsMs, retentionOutputsMs }: Retention,
): Promise<CleanupCounts> {
  const [row] = await sql.query<{ jobs: number; outputs: number; keys: number }>(COUNT, [
    retentionJobsMs,
    retentionOutputsMs,
  ]);
  return { jobsWithOutputs: row?.outputs ?? 0, jobs: row?.jobs ?? 0, idempotencyKeys: row?.keys ?? 0 };
}

/** So many batches at most by one call: what is left is the reconciler's, and an answer must come. */
const ROUNDS_MAX = 20;

export async function cleanUp(deps: DeleteOutputsDeps, retention: Retention): Promise<CleanupCounts> {
  let total: CleanupCounts = { jobsWithOutputs: 0, jobs: 0, idempotencyKeys: 0 };
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const done = await expire(deps, retention);
    total = {
      jobsWithOutputs: total.jobsWithOutputs + done.jobsWithOutputs,
      jobs: total.jobs + done.jobs,
      idempotencyKeys: total.idempotencyKeys + done.idempotencyKeys,
    };
    if (done.jobsWithOutputs + done.jobs + done.idempotencyKeys === 0) break;
  }
  return total;
}

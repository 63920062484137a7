/** What has expired is deleted in batches: by the reconciler now and then, and by an administrator's hand. */
import { deleteExpiredBatches } from "./batch.ts";
import { type DeleteOutputsDeps, deleteOutputs } from "./delete-outputs.ts";
import { IS_FINAL } from "./guards.ts";
import { deleteExpiredIdempotency, deleteExpiredJobs, expiredOutputs, interruptedDeletions } from "./retention.ts";
import { settleAll } from "./settle-all.ts";
import { milliseconds } from "./statements.ts";
import { deleteOldSamples } from "./system-metrics.ts";
import type { JobId } from "./types.ts";
import { countExpiredUploads } from "./uploads.ts";

const BATCH = 100;
/** Each replica makes one a minute. */
const SAMPLES_BATCH = 1_000;
/** Longer than a delete request to a store can take. */
const INTERRUPTED_MS = 120_000;
/** Of one store's batch: so long may a store that hangs hold the round up. */
const STORE_TIMEOUT_MS = 30_000;

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
  /** Expired, and those whose bytes could not be taken away before. */
  readonly uploads: number;
}

type Expired = Omit<CleanupCounts, "uploads">;

/** Goes on behind what cannot be deleted, until the time is up; the first failure is thrown at the end. */
async function deleteAll(deps: DeleteOutputsDeps, jobIds: readonly JobId[]): Promise<number> {
  const late = AbortSignal.timeout(STORE_TIMEOUT_MS);
  const problems: unknown[] = [];
  for (const jobId of jobIds) {
    if (late.aborted) break;
    await deleteOutputs(deps, jobId, late).catch((error: unknown) => problems.push(error));
  }
  if (problems.length > 0) throw problems[0];
  return jobIds.length;
}

/** What was once written to a store that is no longer configured cannot be reached, and is left as it is. */
const backendsOf = ({ storage }: Pick<DeleteOutputsDeps, "storage">): readonly string[] =>
  storage.names.filter((name) => storage.backend(name).properties.writable);

/** Each store for itself: one that is away or slow keeps nothing of the others'. */
async function expireOutputs(deps: DeleteOutputsDeps, olderThanMs: number | null): Promise<number> {
  const { sql } = deps;
  const limit = BATCH;
  const ofBackend = async (backend: string): Promise<number> =>
    olderThanMs === null ? 0 : deleteAll(deps, await expiredOutputs(sql, { olderThanMs, backend, limit }));
  const interrupted = await interruptedDeletions(sql, { olderThanMs: INTERRUPTED_MS, limit });
  const counts = await settleAll([deleteAll(deps, interrupted), ...backendsOf(deps).map(ofBackend)]);
  return counts.reduce((sum, count) => sum + count, 0);
}

async function expireRows(
  { sql }: DeleteOutputsDeps,
  olderThanMs: number | null,
): Promise<Omit<Expired, "jobsWithOutputs">> {
  const limit = BATCH;
  const jobs = olderThanMs === null ? 0 : await deleteExpiredJobs(sql, { olderThanMs, limit });
  if (olderThanMs !== null) await deleteExpiredBatches(sql, { olderThanMs, limit });
  await deleteOldSamples(sql, { limit: SAMPLES_BATCH });
  return { jobs, idempotencyKeys: await deleteExpiredIdempotency(sql, { limit }) };
}

/** One batch of each; call again while a count is not 0. Rejects with the first failure, when all else was tried. */
export async function expire(
  deps: DeleteOutputsDeps,
  { retentionJobsMs, retentionOutputsMs }: Retention,
): Promise<Expired> {
  const [outputs] = await Promise.allSettled([expireOutputs(deps, retentionOutputsMs)]);
  const rows = await expireRows(deps, retentionJobsMs);
  if (outputs.status === "rejected") throw outputs.reason;
  return { jobsWithOutputs: outputs.value, ...rows };
}

const COUNT = `SELECT
  (SELECT count(*)::integer FROM jobs j WHERE ${IS_FINAL} AND j.completed_at <= now() - ${milliseconds("$1")}) AS jobs,
  (SELECT count(*)::integer FROM jobs j WHERE ${IS_FINAL} AND j.completed_at <= now() - ${milliseconds("$2")}
    AND EXISTS (SELECT FROM job_outputs o WHERE o.job_id = j.id AND o.deleted_at IS NULL
      AND o.backend = ANY ($3::text[]))) AS outputs,
  (SELECT count(*)::integer FROM idempotency_keys k WHERE k.expires_at <= now()) AS keys`;

/** What `cleanUp` would come to, without deleting anything. */
export async function countExpired(
  deps: Pick<DeleteOutputsDeps, "sql" | "storage">,
  { retentionJobsMs, retentionOutputsMs }: Retention,
): Promise<CleanupCounts> {
  const [row] = await deps.sql.query<{ jobs: number; outputs: number; keys: number }>(COUNT, [
    retentionJobsMs,
    retentionOutputsMs,
    backendsOf(deps),
  ]);
  const uploads = await countExpiredUploads(deps.sql);
  return { jobsWithOutputs: row?.outputs ?? 0, jobs: row?.jobs ?? 0, idempotencyKeys: row?.keys ?? 0, uploads };
}

/** So many batches at most by one call: what is left is the reconciler's, and an answer must come. */
const ROUNDS_MAX = 20;

export interface CleanupDeps extends DeleteOutputsDeps {
  readonly uploads: { sweep(limit: number): Promise<number> };
}

export async function cleanUp(deps: CleanupDeps, retention: Retention): Promise<CleanupCounts> {
  let total: CleanupCounts = { jobsWithOutputs: 0, jobs: 0, idempotencyKeys: 0, uploads: 0 };
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const done = { ...(await expire(deps, retention)), uploads: await deps.uploads.sweep(BATCH) };
    total = {
      jobsWithOutputs: total.jobsWithOutputs + done.jobsWithOutputs,
      jobs: total.jobs + done.jobs,
      idempotencyKeys: total.idempotencyKeys + done.idempotencyKeys,
      uploads: total.uploads + done.uploads,
    };
    if (done.jobsWithOutputs + done.jobs + done.idempotencyKeys + done.uploads === 0) break;
  }
  return total;
}

/** What is forgotten in time, in batches, and the deletion of a job's outputs under its keys' claims. */
import { json, type SqlRow, type SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { IS_FINAL } from "./guards.ts";
import { appendEvent, milliseconds } from "./statements.ts";
import { uncountStored } from "./storage-usage.ts";
import { type JobOutput, OUTPUT_COLUMNS, toOutput } from "./store.ts";
import type { JobId } from "./types.ts";

/**
 * Deletes jobs that ended longer ago than `olderThanMs`, with their events, attempts, outputs' records and deliveries;
 * never one whose output is being deleted or whose staging is not swept yet. Returns how many; call again while it is
 * `limit`.
 */
export async function deleteExpiredJobs(
  sql: SqlRunner,
  { olderThanMs, limit }: { olderThanMs: number; limit: number },
): Promise<number> {
  const rows = await sql.query(
    `WITH expired AS (
       SELECT j.id, j.key_id FROM jobs j
       WHERE ${IS_FINAL} AND j.completed_at <= now() - ${milliseconds("$1")}
         AND NOT EXISTS (SELECT FROM output_claims c WHERE c.job_id = j.id)
         AND NOT EXISTS (SELECT FROM staging s WHERE s.job_id = j.id)
       ORDER BY j.completed_at LIMIT $2::integer FOR UPDATE SKIP LOCKED),
     forgotten AS (
       SELECT e.key_id, o.backend, o.size_bytes FROM expired e JOIN job_outputs o ON o.job_id = e.id
       WHERE o.deleted_at IS NULL),
     ${uncountStored("forgotten")}
     DELETE FROM jobs j USING expired e WHERE j.id = e.id RETURNING j.id`,
    [olderThanMs, limit],
  );
  return rows.length;
}

/** Deletes answers kept for idempotency keys past their time. Returns how many; call again while it is `limit`. */
export async function deleteExpiredIdempotency(sql: SqlRunner, { limit }: { limit: number }): Promise<number> {
  const rows = await sql.query(
    `WITH expired AS (
       SELECT k.key_id, k.idempotency_key FROM idempotency_keys k WHERE k.expires_at <= now()
       ORDER BY k.expires_at LIMIT $1::integer FOR UPDATE SKIP LOCKED)
     DELETE FROM idempotency_keys k USING expired e
     WHERE k.key_id = e.key_id AND k.idempotency_key = e.idempotency_key RETURNING k.key_id`,
    [limit],
  );
  return rows.length;
}

export interface OutputDeletion {
  /** Whose objects may be deleted now: their keys are this job's until `finishOutputDeletion`. */
  readonly claimed: readonly JobOutput[];
  /** Keys that another job is publishing, or whose deletion is under way elsewhere: try again later. */
  readonly busy: readonly JobOutput[];
}

const CLAIM_OUTPUTS = `
WITH owner AS (SELECT j.id FROM jobs j WHERE j.id = $1 AND ${IS_FINAL} FOR UPDATE),
wanted AS (
  SELECT o.* FROM job_outputs o JOIN owner ON owner.id = o.job_id
  WHERE o.deleted_at IS NULL AND ($2::integer[] IS NULL OR o.ordinal = ANY ($2::integer[]))),
taken AS (
  INSERT INTO output_claims (backend, key, job_id)
  SELECT DISTINCT w.backend, w.key, w.job_id FROM wanted w ORDER BY w.backend, w.key
  ON CONFLICT (backend, key) DO UPDATE SET claimed_at = now()
  WHERE output_claims.job_id = excluded.job_id AND output_claims.claimed_at <= now() - ${milliseconds("$3")}
  RETURNING backend, key)
SELECT ${OUTPUT_COLUMNS.split(", ")
  .map((column) => `w.${column}`)
  .join(", ")}, t.key IS NOT NULL AS claimed
FROM wanted w LEFT JOIN taken t ON t.backend = w.backend AND t.key = w.key
ORDER BY w.ordinal`;

/**
 * Takes the keys of a final job's outputs (all, or those of `ordinals`) before their objects are deleted, so that no
 * other job publishes over a key while this one deletes there. A claim that an interrupted deletion of the same job left
 * behind is taken over after `takeoverMs`, which must exceed the time a delete request can take.
 */
export async function claimOutputsForDeletion(
  sql: SqlRunner,
  { jobId, ordinals, takeoverMs }: { jobId: JobId; ordinals?: readonly number[]; takeoverMs: number },
): Promise<OutputDeletion> {
  const rows = await sql.query<SqlRow>(CLAIM_OUTPUTS, [jobId, ordinals ?? null, takeoverMs]);
  return {
    claimed: rows.filter((row) => row.claimed === true).map(toOutput),
    busy: rows.filter((row) => row.claimed !== true).map(toOutput),
  };
}

const FINISH_DELETION = `
WITH owner AS (SELECT j.id, j.key_id FROM jobs j WHERE j.id = $1 AND ${IS_FINAL} FOR UPDATE),
outcome AS (
  SELECT (item ->> 'ordinal')::integer AS ordinal, (item ->> 'gone')::boolean AS gone
  FROM jsonb_array_elements($2::jsonb) AS item),
gone AS (
  UPDATE job_outputs o SET deleted_at = now() FROM owner, outcome
  WHERE o.job_id = owner.id AND o.ordinal = outcome.ordinal AND outcome.gone AND o.deleted_at IS NULL
  RETURNING o.ordinal, owner.key_id, o.backend, o.size_bytes),
${uncountStored("gone")},
freed AS (
  DELETE FROM output_claims c USING owner, job_outputs o, outcome
  WHERE o.job_id = owner.id AND o.ordinal = outcome.ordinal
    AND c.job_id = owner.id AND c.backend = o.backend AND c.key = o.key),
changed AS (
  UPDATE jobs j SET updated_at = now(), log_seq = j.log_seq + 1 FROM owner
  WHERE j.id = owner.id AND EXISTS (SELECT FROM gone) RETURNING j.id, j.log_seq),
${appendEvent(
  "changed",
  "'job.outputs_deleted'",
  "jsonb_build_object('ordinals', (SELECT jsonb_agg(g.ordinal ORDER BY g.ordinal) FROM gone g))",
)}
SELECT (SELECT count(*)::integer FROM gone) AS gone FROM owner`;

/**
 * Records the end of a deletion and frees the claimed keys. `gone`: the recorded object is no longer there (deleted, or
 * replaced by another's before). Returns how many outputs are newly recorded as deleted.
 */
export async function finishOutputDeletion(
  sql: SqlRunner,
  { jobId, outcomes }: { jobId: JobId; outcomes: readonly { readonly ordinal: number; readonly gone: boolean }[] },
): Promise<number> {
  const [row] = await sql.query<{ gone: number }>(FINISH_DELETION, [jobId, json(outcomes)]);
  if (row === undefined) throw new RendiffError({ kind: "request.not_found", publicMessage: "There is no such job." });
  return row.gone;
}

/** Final jobs whose deletion of outputs was interrupted at least `olderThanMs` ago: to be claimed again and finished. */
export async function interruptedDeletions(
  sql: SqlRunner,
  { olderThanMs, limit }: { olderThanMs: number; limit: number },
): Promise<JobId[]> {
  const rows = await sql.query<{ id: JobId }>(
    `SELECT DISTINCT j.id FROM output_claims c JOIN jobs j ON j.id = c.job_id
     WHERE ${IS_FINAL} AND c.claimed_at <= now() - ${milliseconds("$1")} ORDER BY j.id LIMIT $2::integer`,
    [olderThanMs, limit],
  );
  return rows.map((row) => row.id);
}

/** Final jobs that ended at least `olderThanMs` ago and still have outputs in this backend. */
export async function expiredOutputs(
  sql: SqlRunner,
  { olderThanMs, backend, limit }: { olderThanMs: number; backend: string; limit: number },
): Promise<JobId[]> {
  const rows = await sql.query<{ id: JobId }>(
    `SELECT j.id FROM jobs j WHERE ${IS_FINAL} AND j.completed_at <= now() - ${milliseconds("$1")}
       AND EXISTS (SELECT FROM job_outputs o WHERE o.job_id = j.id AND o.deleted_at IS NULL AND o.backend = $3)
     ORDER BY j.completed_at LIMIT $2::integer`,
    [olderThanMs, limit, backend],
  );
  return rows.map((row) => row.id);
}

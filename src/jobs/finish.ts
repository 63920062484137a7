/** The ends of an attempt that its holder records: completed, failed, retried, cancelled, put back. All fenced. */
import { json, type SqlRunner } from "../database/sql.ts";
import { RendiffError, type Retry } from "../errors.ts";
import {
  ALL_OUTPUTS_SEEN,
  CANCEL_WANTED,
  HAS_TOKEN,
  HELD,
  IS_PUBLISHING,
  NOT_PUBLISHING,
  PUBLISH_IS_OVERDUE,
} from "./guards.ts";
import { backoffSql, defaultRetryPolicy, type RetryPolicy } from "./retry-policy.ts";
import { appendEvent, endAttempt, milliseconds, RELEASED } from "./statements.ts";
import { countStored } from "./storage-usage.ts";
import type { JobFailure, Lease, PublishedOutput } from "./types.ts";

const COMPLETE = `
WITH held AS (SELECT j.* FROM jobs j WHERE ${HELD} AND ${IS_PUBLISHING} FOR UPDATE),
seen AS (
  SELECT (o ->> 'ordinal')::integer AS ordinal, o ->> 'identity' AS identity
  FROM jsonb_array_elements($4::jsonb) AS o WHERE o ->> 'identity' IS NOT NULL),
whole AS (SELECT h.* FROM held h WHERE ${ALL_OUTPUTS_SEEN}),
step AS (
  SELECT h.id AS job_id, s.ordinality, (s.value ->> 'ordinal')::integer AS ordinal, s.value ->> 'role' AS role,
    s.value -> 'staged' ->> 'backend' AS backend, s.value -> 'staged' ->> 'key' AS key, s.value ->> 'uri' AS uri,
    (s.value -> 'staged' ->> 'sizeBytes')::bigint AS size_bytes, s.value -> 'staged' ->> 'sha256' AS sha256,
    s.value ->> 'mediaType' AS media_type, s.value -> 'media' AS media
  FROM whole h, jsonb_array_elements(h.manifest -> 'steps') WITH ORDINALITY AS s (value, ordinality)),
finished AS (
  UPDATE jobs j SET status = 'completed', progress = 100, completed_at = now(), error = NULL, manifest = NULL,
    publish_deadline_at = NULL, results = w.manifest -> 'results',
    metrics = coalesce(w.manifest -> 'metrics', '{}') || $5::jsonb
      || estimate_outcome(j.key_id, j.spec, coalesce(w.manifest -> 'metrics', '{}')),
    warnings = coalesce(w.manifest -> 'warnings', j.warnings), ${RELEASED}
  FROM whole w WHERE j.id = w.id
  RETURNING j.*),
published AS (
  INSERT INTO job_outputs (job_id, ordinal, role, backend, key, uri, size_bytes, sha256, media_type, media, identity)
  SELECT f.id, s.ordinal, s.role, s.backend, s.key, s.uri, s.size_bytes, s.sha256, s.media_type, s.media, seen.identity
  FROM finished f JOIN step s ON s.job_id = f.id JOIN seen ON seen.ordinal = s.ordinal
  RETURNING backend, size_bytes),
replaced AS (
  UPDATE job_outputs o SET deleted_at = now() FROM finished f, step s, jobs j
  WHERE s.job_id = f.id AND o.backend = s.backend AND o.key = s.key AND o.job_id <> f.id AND o.deleted_at IS NULL
    AND j.id = o.job_id
  RETURNING j.key_id, o.backend, o.size_bytes),
changes AS (
  SELECT f.key_id, p.backend, p.size_bytes, 1 AS object_count FROM finished f, published p
  UNION ALL SELECT r.key_id, r.backend, -r.size_bytes, -1 FROM replaced r),
${countStored("changes")},
reusable AS (
  INSERT INTO reusable_results (key_id, fingerprint, job_id)
  SELECT f.key_id, print.value, f.id
  FROM finished f JOIN whole w ON w.id = f.id, jsonb_array_elements_text(w.manifest -> 'fingerprints') AS print
  ON CONFLICT DO NOTHING),
freed AS (DELETE FROM output_claims c USING finished f WHERE c.job_id = f.id),
unstaged AS (
  DELETE FROM staging s USING whole w
  WHERE s.job_id = w.id AND s.lease_token = (w.manifest ->> 'leaseToken')::bigint),
${endAttempt("finished", "'completed'")},
${appendEvent(
  "finished",
  "'job.completed'",
  `jsonb_build_object('attempt', u.attempt, 'metrics', u.metrics, 'outputs', coalesce((
    SELECT jsonb_agg(jsonb_build_object('ordinal', s.ordinal, 'role', s.role, 'uri', s.uri, 'media_type', s.media_type,
      'size_bytes', s.size_bytes) ORDER BY s.ordinality)
    FROM step s WHERE s.job_id = u.id), '[]'::jsonb))`,
)}
SELECT EXISTS (SELECT FROM held) AS held, EXISTS (SELECT FROM finished) AS finished,
  EXISTS (SELECT FROM jobs j WHERE j.id = $1 AND ${HAS_TOKEN} AND j.status = 'completed') AS already`;

/**
 * Records that every output of the manifest is visible, each with the identity that a look at the store found. The row
 * and its event, the outputs, those of other jobs whose place they took, the released keys and the attempt change together. True also when this lease completed the
 * job before (a lost reply); false when the lease is lost. An output without an identity is our bug and rejects.
 */
export async function completeJob(
  sql: SqlRunner,
  lease: Lease,
  finish: { readonly outputs: readonly PublishedOutput[]; readonly metrics?: Readonly<Record<string, number>> },
): Promise<boolean> {
  const [row] = await sql.query<{ held: boolean; finished: boolean; already: boolean }>(COMPLETE, [
    lease.jobId,
    lease.leaseToken,
    lease.workerId,
    json(finish.outputs.map(({ ordinal, identity }) => ({ ordinal, identity }))),
    json(finish.metrics ?? {}),
  ]);
  if (row === undefined) return false;
  if (row.held && !row.finished) {
    throw new RendiffError({ kind: "internal", publicMessage: "An output of the manifest was not looked at." });
  }
  return row.finished || row.already;
}

/** Failure as it is stored: what a client reads, without the decision to retry. */
function storedFailure(failure: JobFailure): JobFailure {
  const { kind, message, retryable, evidence, hint } = failure;
  return { kind, message, retryable, evidence, hint };
}

const FAIL = `
WITH held AS (SELECT j.* FROM jobs j WHERE ${HELD} FOR UPDATE),
verdict AS (
  SELECT j.id, CASE
    WHEN ${IS_PUBLISHING} THEN 'publishing'
    WHEN ${CANCEL_WANTED} THEN 'cancelled'
    WHEN $5::boolean AND j.failure_count + 1 < $6::integer THEN 'retrying'
    ELSE 'failed' END AS outcome
  FROM held j),
changed AS (
  UPDATE jobs j SET
    status = CASE v.outcome WHEN 'failed' THEN 'failed' WHEN 'cancelled' THEN 'cancelled' ELSE 'queued' END,
    error = CASE WHEN v.outcome = 'failed' THEN $4::jsonb ELSE j.error END,
    completed_at = CASE WHEN v.outcome IN ('failed', 'cancelled') THEN now() END,
    failure_count = j.failure_count + 1,
    run_at = CASE WHEN v.outcome IN ('retrying', 'publishing')
      THEN now() + ${milliseconds(backoffSql("(j.failure_count + 1)", "$7", "$8", "$9"))} ELSE j.run_at END,
    ${RELEASED}
  FROM verdict v WHERE j.id = v.id
  RETURNING j.*, v.outcome),
${endAttempt(
  "changed",
  "CASE u.outcome WHEN 'failed' THEN 'failed' WHEN 'cancelled' THEN 'cancelled' ELSE 'retried' END",
  "$4::jsonb",
)},
${appendEvent(
  "changed",
  "CASE u.outcome WHEN 'failed' THEN 'job.failed' WHEN 'cancelled' THEN 'job.cancelled' ELSE 'job.retrying' END",
  `CASE WHEN u.outcome IN ('failed', 'cancelled') THEN jsonb_build_object('attempt', u.attempt, 'error', $4::jsonb)
   ELSE jsonb_build_object('attempt', u.attempt, 'error', $4::jsonb, 'run_at', u.run_at) END`,
)}
SELECT outcome FROM changed`;

export interface FailureLimits {
  /** Tries that end with a retryable error, this one included, before the job fails. */
  readonly maxAttempts: number;
  readonly policy?: RetryPolicy;
}

/**
 * Records that an attempt failed. With `retry: "backoff"` and tries left the job is queued for later. A job whose cancel
 * was requested is cancelled instead, whatever went wrong. Once a manifest is set the job never fails here: it is queued
 * with backoff, however often, and rolled forward (`retrying`). `lost`: nothing was changed.
 */
export async function failJob(
  sql: SqlRunner,
  lease: Lease,
  failure: JobFailure & { readonly retry: Retry },
  { maxAttempts, policy = defaultRetryPolicy }: FailureLimits,
): Promise<"failed" | "retrying" | "cancelled" | "lost"> {
  const [row] = await sql.query<{ outcome: "failed" | "retrying" | "cancelled" | "publishing" }>(FAIL, [
    lease.jobId,
    lease.leaseToken,
    lease.workerId,
    json(storedFailure(failure)),
    failure.retry === "backoff",
    maxAttempts,
    policy.random(),
    policy.baseMs,
    policy.capMs,
  ]);
  if (row === undefined) return "lost";
  return row.outcome === "publishing" ? "retrying" : row.outcome;
}

const FAIL_PUBLISHING = `
WITH held AS (SELECT j.* FROM jobs j WHERE ${HELD} AND ${IS_PUBLISHING} FOR UPDATE),
changed AS (
  UPDATE jobs j SET status = 'failed', error = $4::jsonb, completed_at = now(), manifest = NULL,
    publish_deadline_at = NULL, ${RELEASED}
  FROM held h WHERE j.id = h.id AND ${PUBLISH_IS_OVERDUE}
  RETURNING j.*),
freed AS (DELETE FROM output_claims c USING changed u WHERE c.job_id = u.id),
${endAttempt("changed", "'failed'", "$4::jsonb")},
${appendEvent("changed", "'job.failed'", "jsonb_build_object('attempt', u.attempt, 'error', $4::jsonb)")}
SELECT EXISTS (SELECT FROM held) AS held, EXISTS (SELECT FROM changed) AS changed`;

/**
 * Gives up a publication: only after PUBLISH_TIMEOUT by the database's clock (`not_due` before it), and only when the
 * caller aborted every upload first and then looked and found an output missing. Frees the keys.
 */
export async function failPublishing(
  sql: SqlRunner,
  lease: Lease,
  failure: JobFailure,
): Promise<"failed" | "lost" | "not_due"> {
  const [row] = await sql.query<{ held: boolean; changed: boolean }>(FAIL_PUBLISHING, [
    lease.jobId,
    lease.leaseToken,
    lease.workerId,
    json(storedFailure(failure)),
  ]);
  if (row === undefined || !row.held) return "lost";
  return row.changed ? "failed" : "not_due";
}

/** Whether the time to publish is over, by the database's clock; false also when the lease is lost. */
export async function publishOverdue(sql: SqlRunner, lease: Lease): Promise<boolean> {
  const rows = await sql.query(`SELECT j.id FROM jobs j WHERE ${HELD} AND ${IS_PUBLISHING} AND ${PUBLISH_IS_OVERDUE}`, [
    lease.jobId,
    lease.leaseToken,
    lease.workerId,
  ]);
  return rows.length > 0;
}

const CONFIRM_CANCELLED = `
WITH changed AS (
  UPDATE jobs j SET status = 'cancelled', completed_at = now(), ${RELEASED}
  WHERE ${HELD} AND ${NOT_PUBLISHING} AND ${CANCEL_WANTED}
  RETURNING j.*),
${endAttempt("changed", "'cancelled'")},
${appendEvent("changed", "'job.cancelled'", "jsonb_build_object('attempt', u.attempt)")}
SELECT EXISTS (SELECT FROM changed)
  OR EXISTS (SELECT FROM jobs j WHERE j.id = $1 AND ${HAS_TOKEN} AND j.status = 'cancelled') AS cancelled`;

/**
 * Ends a job whose cancel was requested, once its processes are dead. True also when this lease did so before; false
 * when the lease is lost, nothing was requested, or the job is being published.
 */
export async function confirmCancelled(sql: SqlRunner, lease: Lease): Promise<boolean> {
  const [row] = await sql.query<{ cancelled: boolean }>(CONFIRM_CANCELLED, [
    lease.jobId,
    lease.leaseToken,
    lease.workerId,
  ]);
  return row?.cancelled === true;
}

const PUT_BACK = `
WITH held AS (SELECT j.* FROM jobs j WHERE ${HELD} FOR UPDATE),
changed AS (
  UPDATE jobs j SET
    status = CASE WHEN ${CANCEL_WANTED} THEN 'cancelled' ELSE 'queued' END,
    completed_at = CASE WHEN ${CANCEL_WANTED} THEN now() END,
    run_at = CASE WHEN $4::double precision > 0 THEN now() + ${milliseconds("$4")} ELSE j.run_at END,
    unfit = CASE WHEN $6::text = ANY (j.unfit) OR $6::text IS NULL THEN j.unfit ELSE j.unfit || $6::text END,
    ${RELEASED}
  FROM held h WHERE j.id = h.id
  RETURNING j.*),
${endAttempt("changed", "CASE u.status WHEN 'cancelled' THEN 'cancelled' ELSE $5::text END")},
${appendEvent(
  "changed",
  "CASE u.status WHEN 'cancelled' THEN 'job.cancelled' ELSE 'job.snoozed' END",
  "jsonb_build_object('attempt', u.attempt, 'reason', $5::text)",
)}
SELECT status FROM changed`;

async function putBack(
  sql: SqlRunner,
  lease: Lease,
  { delayMs = 0, outcome, unfit = null }: { delayMs?: number; outcome: string; unfit?: string | null },
): Promise<boolean> {
  const params = [lease.jobId, lease.leaseToken, lease.workerId, delayMs, outcome, unfit];
  const rows = await sql.query(PUT_BACK, params);
  return rows.length > 0;
}

/**
 * Puts a job back without charging a try, after `delayMs` (default: at once). A job whose cancel was requested is
 * cancelled instead. False: the lease is lost.
 */
export function snooze(sql: SqlRunner, lease: Lease, options: { readonly delayMs?: number } = {}): Promise<boolean> {
  return putBack(sql, lease, { ...options, outcome: "snoozed" });
}

/** Gives back a claim whose reply was lost, without charge. False: somebody else has it by now. */
export function giveBack(sql: SqlRunner, lease: Lease): Promise<boolean> {
  return putBack(sql, lease, { outcome: "returned" });
}

/** Leaves a job, without charge, to workers of other kinds than `kind`, which cannot run it. False: the lease is lost. */
export function passOn(sql: SqlRunner, lease: Lease, kind: string): Promise<boolean> {
  return putBack(sql, lease, { outcome: "returned", unfit: kind });
}

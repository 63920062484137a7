/** Reaping: making jobs available whose holder is dead, or ending them where that is what was asked or earned. */
import { json, type SqlRunner } from "../database/sql.ts";
import { CANCEL_WANTED, IS_PROCESSING, IS_PUBLISHING, WORKER_IS_BEHIND, WORKER_IS_GONE } from "./guards.ts";
import { appendEvent, endAttempt, RELEASED } from "./statements.ts";
import { toPriority } from "./store.ts";
import type { JobFailure, JobId, JobType, Priority } from "./types.ts";

export interface ReapedJob {
  readonly jobId: JobId;
  /** `queued` and `republish` wait for a claim; the latter only has to be rolled forward. */
  readonly outcome: "queued" | "republish" | "cancelled" | "poisoned";
  readonly priority: Priority;
  readonly rank: number;
  readonly type: JobType;
  readonly createdAt: Date;
  readonly traceparent: string | null;
}

/** What a job is told that kept killing its worker. */
export const POISONED: JobFailure = {
  kind: "job.poisoned",
  message: "The job was stopped because the worker running it died each time.",
  retryable: false,
  evidence: null,
  hint: "Check the input with a probe, or split the job; retry it if the machine was at fault.",
};

const REAP = `
WITH dead AS (
  SELECT j.*, CASE
    WHEN ${IS_PUBLISHING} THEN 'republish'
    WHEN ${CANCEL_WANTED} THEN 'cancelled'
    WHEN j.crash_count + 1 >= $2::integer THEN 'poisoned'
    ELSE 'queued' END AS outcome
  FROM jobs j LEFT JOIN workers w ON w.id = j.worker_id
  WHERE ${IS_PROCESSING} AND (${WORKER_IS_GONE} OR ${WORKER_IS_BEHIND})
  ORDER BY j.id LIMIT $3::integer
  FOR UPDATE OF j SKIP LOCKED),
changed AS (
  UPDATE jobs j SET
    status = CASE d.outcome WHEN 'cancelled' THEN 'cancelled' WHEN 'poisoned' THEN 'failed' ELSE 'queued' END,
    crash_count = j.crash_count + CASE WHEN d.outcome IN ('queued', 'poisoned') THEN 1 ELSE 0 END,
    error = CASE WHEN d.outcome = 'poisoned' THEN $4::jsonb ELSE j.error END,
    completed_at = CASE WHEN d.outcome IN ('cancelled', 'poisoned') THEN now() END,
    run_at = now(), ${RELEASED}
  FROM dead d WHERE j.id = d.id
  RETURNING j.*, d.outcome, d.worker_id AS dead_worker_id),
${endAttempt("changed", "'crashed'", "CASE WHEN u.outcome = 'poisoned' THEN $4::jsonb END")},
${appendEvent(
  "changed",
  "CASE u.outcome WHEN 'cancelled' THEN 'job.cancelled' WHEN 'poisoned' THEN 'job.failed' ELSE 'job.reaped' END",
  `jsonb_build_object('attempt', u.attempt, 'worker_id', u.dead_worker_id, 'crash_count', u.crash_count)
   || CASE WHEN u.outcome = 'poisoned' THEN jsonb_build_object('error', $4::jsonb) ELSE '{}'::jsonb END`,
)}
SELECT id, outcome, coalesce(aged_priority, priority) AS priority, queue_rank, type, created_at, traceparent FROM changed ORDER BY id`;

/**
 * Takes jobs from workers that are dead: `ticksBehind` ticks or more behind, gone, or without a row. Without a manifest a
 * job is cancelled where that was requested, fails as poisoned at its `poisonAfter`-th crash, and is queued otherwise;
 * with one it is queued and only ever rolled forward. `ticksBehind: 0` takes every job, which only a process that is
 * known to be alone may ask, before it claims. Safe to run anywhere at any time.
 */
export async function reapDeadWorkers(
  sql: SqlRunner,
  { ticksBehind, poisonAfter, limit }: { ticksBehind: number; poisonAfter: number; limit: number },
): Promise<ReapedJob[]> {
  const rows = await sql.query(REAP, [ticksBehind, poisonAfter, limit, json(POISONED)]);
  return rows.map((row) => ({
    jobId: row.id as JobId,
    outcome: row.outcome as ReapedJob["outcome"],
    priority: toPriority(row.priority as number),
    rank: row.queue_rank as number,
    type: row.type as JobType,
    createdAt: row.created_at as Date,
    traceparent: row.traceparent as string | null,
  }));
}

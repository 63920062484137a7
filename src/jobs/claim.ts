/**
 * Claiming: the one way a job gets a holder.
 *
 * `FOR UPDATE SKIP LOCKED` over the partial index of queued rows: claimers never wait for one another, and the cost does
 * not grow with the queue. Times are the database's.
 */
import type { SqlParam, SqlRow, SqlRunner } from "../database/sql.ts";
import { CLAIMER_HAS_NOT_LEFT, IS_DUE, IS_QUEUED, NOT_CANCELLED } from "./guards.ts";
import { appendEvent } from "./statements.ts";
import { JOB_COLUMNS, priorityNumber, toJob } from "./store.ts";
import type { Claim, JobId, JobType, Priority, WorkerId } from "./types.ts";

export interface ClaimRequest {
  readonly workerId: WorkerId;
  /** Null: all. */
  readonly jobTypes: readonly JobType[] | null;
  readonly priorities: readonly Priority[] | null;
  /** A hint: this job or none. Without it, the next in the order of the queue. */
  readonly jobId?: JobId;
}

function claimText(condition: string): string {
  return `
WITH next AS (
  SELECT j.id FROM jobs j
  WHERE ${IS_QUEUED} AND ${IS_DUE} AND ${NOT_CANCELLED} AND ${CLAIMER_HAS_NOT_LEFT}
    AND ($2::text[] IS NULL OR j.type = ANY ($2::text[]))
    AND ($3::smallint[] IS NULL OR j.priority = ANY ($3::smallint[]))
    ${condition}
  ORDER BY j.priority, j.queue_rank, j.id
  LIMIT 1
  FOR UPDATE SKIP LOCKED),
claimed AS (
  UPDATE jobs j SET status = 'processing', worker_id = $1, lease_token = j.lease_token + 1, attempt = j.attempt + 1,
    stage = CASE WHEN j.manifest IS NULL THEN 'downloading' ELSE 'publishing' END,
    progress = CASE WHEN j.manifest IS NULL THEN 0 ELSE j.progress END,
    started_at = coalesce(j.started_at, now()), updated_at = now(), log_seq = j.log_seq + 1
  FROM next WHERE j.id = next.id
  RETURNING j.*),
attempted AS (
  INSERT INTO job_attempts (job_id, attempt, lease_token, worker_id)
  SELECT u.id, u.attempt, u.lease_token, u.worker_id FROM claimed u),
${appendEvent(
  "claimed",
  "'job.started'",
  "jsonb_build_object('attempt', u.attempt, 'worker_id', u.worker_id, 'stage', u.stage)",
)}
SELECT ${JOB_COLUMNS} FROM claimed`;
}

const CLAIM_NEXT = claimText("");
const CLAIM_THIS = claimText("AND j.id = $4");

/**
 * Takes one queued job that is due and not to be cancelled, and gives its lease; null when there is none, or the hinted
 * one is gone. After a lost reply the job is held by this worker without its knowledge: its next heartbeat says so, and
 * it gives the job back.
 */
export async function claimJob(sql: SqlRunner, request: ClaimRequest): Promise<Claim | null> {
  const params: SqlParam[] = [
    request.workerId,
    request.jobTypes,
    request.priorities === null ? null : request.priorities.map(priorityNumber),
  ];
  const hinted = request.jobId !== undefined;
  if (request.jobId !== undefined) params.push(request.jobId);
  const [row] = await sql.query<SqlRow>(hinted ? CLAIM_THIS : CLAIM_NEXT, params);
  if (row === undefined) return null;
  const job = toJob(row);
  return { job, lease: { jobId: job.id, leaseToken: job.leaseToken, workerId: request.workerId } };
}

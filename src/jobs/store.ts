/** Jobs as rows: creating, reading and listing them, and what is kept beside them. */
import { json, type SqlRow, type SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import type { MediaInfo, OutputRole } from "../media/types.ts";
import { IS_OPEN } from "./guards.ts";
import { appendEvent, queueRank } from "./statements.ts";
import {
  type EventType,
  type Job,
  type JobEvent,
  type JobFailure,
  type JobId,
  type JobType,
  type KeyId,
  PRIORITIES,
  type Priority,
  type PublishManifest,
  type WorkerId,
} from "./types.ts";

const COLUMNS = [
  "id",
  "key_id",
  "type",
  "status",
  "stage",
  "progress",
  "priority",
  "queue_rank",
  "spec",
  "metadata",
  "plan",
  "results",
  "error",
  "warnings",
  "metrics",
  "manifest",
  "attempt",
  "failure_count",
  "crash_count",
  "lease_token",
  "worker_id",
  "log_seq",
  "run_at",
  "cancel_requested_at",
  "batch_id",
  "retry_of",
  "webhook_url",
  "webhook_events",
  "request_id",
  "traceparent",
  "unfit",
  "created_at",
  "started_at",
  "completed_at",
  "updated_at",
] as const;

/** The columns that `toJob` reads, for a select or returning list. */
export const JOB_COLUMNS = COLUMNS.join(", ");

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** An id that comes from outside may be anything; what is not a UUID names no row. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** A row with JOB_COLUMNS as a Job. */
export function toJob(row: SqlRow): Job {
  return {
    id: row.id as JobId,
    keyId: row.key_id as KeyId,
    type: row.type as JobType,
    status: row.status as Job["status"],
    stage: row.stage as Job["stage"],
    progress: row.progress as number,
    priority: toPriority(row.priority as number),
    queueRank: row.queue_rank as number,
    spec: row.spec,
    metadata: row.metadata as Job["metadata"],
    plan: row.plan,
    results: row.results,
    error: row.error as JobFailure | null,
    warnings: row.warnings as string[],
    metrics: row.metrics as Job["metrics"],
    manifest: row.manifest as PublishManifest | null,
    attempt: row.attempt as number,
    failureCount: row.failure_count as number,
    crashCount: row.crash_count as number,
    leaseToken: row.lease_token as number,
    workerId: row.worker_id as WorkerId | null,
    logSeq: row.log_seq as number,
    runAt: row.run_at as Date,
    cancelRequestedAt: row.cancel_requested_at as Date | null,
    batchId: row.batch_id as string | null,
    retryOf: row.retry_of as JobId | null,
    webhookUrl: row.webhook_url as string | null,
    webhookEvents: row.webhook_events as string[],
    requestId: row.request_id as string | null,
    traceparent: row.traceparent as string | null,
    unfit: row.unfit as string[],
    createdAt: row.created_at as Date,
    startedAt: row.started_at as Date | null,
    completedAt: row.completed_at as Date | null,
    updatedAt: row.updated_at as Date,
  };
}

export function toPriority(number: number): Priority {
  const priority = PRIORITIES[number];
  if (priority === undefined) {
    throw new RendiffError({ kind: "internal", publicMessage: `There is no priority number ${number}.` });
  }
  return priority;
}

export function priorityNumber(priority: Priority): number {
  return PRIORITIES.indexOf(priority);
}

export interface NewJob {
  /** A UUIDv7 made by the application: ids sort by creation. */
  readonly id: JobId;
  readonly keyId: KeyId;
  readonly type: JobType;
  readonly priority: Priority;
  /** Already parsed by its type's schema. */
  readonly spec: unknown;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly batchId?: string | null;
  readonly retryOf?: JobId | null;
  readonly webhookUrl?: string | null;
  readonly webhookEvents?: readonly string[];
  readonly requestId?: string | null;
  readonly traceparent?: string | null;
  readonly warnings?: readonly string[];
  /** The kinds of workers that cannot run it. */
  readonly unfit?: readonly string[];
}

const INSERT_JOBS = `
WITH given AS MATERIALIZED (
  SELECT g.*, row_number() OVER (PARTITION BY g.key_id, g.priority ORDER BY g.id) - 1 AS before
  FROM jsonb_to_recordset($1::jsonb) AS g(id uuid, key_id uuid, type text, priority smallint, spec jsonb, metadata jsonb,
    batch_id uuid, retry_of uuid, webhook_url text, webhook_events text[], request_id text, warnings jsonb, traceparent text,
    unfit text[])),
places AS MATERIALIZED (
  SELECT c.key_id, c.priority, ${queueRank("c", "c.priority")} AS rank,
    1 / coalesce((SELECT k.weight FROM api_keys k WHERE k.id = c.key_id), 1)::double precision AS step
  FROM (SELECT DISTINCT key_id, priority FROM given) c),
created AS (
  INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec, metadata, batch_id, retry_of, webhook_url,
    webhook_events, request_id, warnings, traceparent, unfit, log_seq)
  SELECT g.id, g.key_id, g.type, 'queued', g.priority, p.rank + p.step * g.before, g.spec, g.metadata, g.batch_id,
    g.retry_of, g.webhook_url, g.webhook_events, g.request_id, g.warnings, g.traceparent, g.unfit, 1
  FROM given g JOIN places p ON p.key_id = g.key_id AND p.priority = g.priority
  RETURNING *),
${appendEvent("created", "'job.queued'", `jsonb_build_object('type', u.type, 'priority', (ARRAY['${PRIORITIES.join("', '")}'])[u.priority + 1])`)}
SELECT ${JOB_COLUMNS} FROM created`;

const toInsert = (job: NewJob) => ({
  id: job.id,
  key_id: job.keyId,
  type: job.type,
  priority: priorityNumber(job.priority),
  spec: job.spec,
  metadata: job.metadata,
  batch_id: job.batchId ?? null,
  retry_of: job.retryOf ?? null,
  webhook_url: job.webhookUrl ?? null,
  webhook_events: job.webhookEvents ?? [],
  request_id: job.requestId ?? null,
  warnings: job.warnings ?? [],
  traceparent: job.traceparent ?? null,
  unfit: job.unfit ?? [],
});

/**
 * Creates queued jobs, each with its first event, by one statement: all or none. They are ranked in the order of their ids
 * and returned in the order given. Rejects with `database.conflict` when an id exists or a key does not.
 */
export async function insertJobs(sql: SqlRunner, jobs: readonly NewJob[]): Promise<Job[]> {
  const rows = await sql.query(INSERT_JOBS, [json(jobs.map(toInsert))]);
  const created = new Map(rows.map((row) => [row.id as JobId, row]));
  return jobs.map(({ id }) => {
    const row = created.get(id);
    if (row === undefined) throw new RendiffError({ kind: "internal", publicMessage: "The job was not stored." });
    return toJob(row);
  });
}

export async function insertJob(sql: SqlRunner, job: NewJob): Promise<Job> {
  const [created] = await insertJobs(sql, [job]);
  return created as Job;
}

/** Null when there is no such job, or it belongs to another key; `keyId: null` sees every job. */
export async function getJob(
  sql: SqlRunner,
  { jobId, keyId }: { jobId: string; keyId: KeyId | null },
): Promise<Job | null> {
  if (!isUuid(jobId)) return null;
  const [row] = await sql.query(
    `SELECT ${JOB_COLUMNS} FROM jobs WHERE id = $1 AND ($2::uuid IS NULL OR key_id = $2::uuid)`,
    [jobId, keyId],
  );
  return row === undefined ? null : toJob(row);
}

/** `job` is the row after the change, or as it is when nothing changed. */
export type ChangeResult<Outcome extends string> =
  | { readonly outcome: Outcome | "conflict"; readonly job: Job }
  | { readonly outcome: "not_found"; readonly job: null };

const SET_PRIORITY = `
WITH changed AS (
  UPDATE jobs j SET priority = $3::smallint, aged_priority = NULL, queue_rank = ${queueRank("j", "$3::smallint")}, updated_at = now(), log_seq = j.log_seq + 1
  WHERE j.id = $1 AND ($2::uuid IS NULL OR j.key_id = $2::uuid) AND ${IS_OPEN} AND j.priority <> $3::smallint
  RETURNING *),
${appendEvent("changed", "'job.priority_changed'", "jsonb_build_object('priority', $4::text)")}
SELECT ${JOB_COLUMNS} FROM changed`;

/** Moves a job that has not ended to the end of another class; the same class again changes nothing. */
export async function setPriority(
  sql: SqlRunner,
  { jobId, keyId, priority }: { jobId: string; keyId: KeyId | null; priority: Priority },
): Promise<ChangeResult<"changed">> {
  if (!isUuid(jobId)) return { outcome: "not_found", job: null };
  const [row] = await sql.query(SET_PRIORITY, [jobId, keyId, priorityNumber(priority), priority]);
  if (row !== undefined) return { outcome: "changed", job: toJob(row) };
  const job = await getJob(sql, { jobId, keyId });
  if (job === null) return { outcome: "not_found", job: null };
  const open = job.status === "queued" || job.status === "processing";
  return { outcome: open ? "changed" : "conflict", job };
}

/** The durable events after `afterSeq`, in order. */
export async function listEvents(
  sql: SqlRunner,
  { jobId, afterSeq, limit }: { jobId: JobId; afterSeq: number; limit: number },
): Promise<JobEvent[]> {
  const rows = await sql.query(
    `SELECT job_id, seq, type, data, at FROM job_logs WHERE job_id = $1 AND seq > $2::bigint ORDER BY seq LIMIT $3::integer`,
    [jobId, afterSeq, limit],
  );
  return rows.map((row) => ({
    jobId: row.job_id as JobId,
    seq: row.seq as number,
    type: row.type as EventType,
    data: row.data as JobEvent["data"],
    at: row.at as Date,
  }));
}

export type AttemptOutcome = "completed" | "failed" | "retried" | "cancelled" | "snoozed" | "returned" | "crashed";

export interface JobAttempt {
  readonly attempt: number;
  readonly leaseToken: number;
  readonly workerId: WorkerId;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  /** Null while it runs. */
  readonly outcome: AttemptOutcome | null;
  readonly error: JobFailure | null;
}

export async function listAttempts(sql: SqlRunner, jobId: JobId): Promise<JobAttempt[]> {
  const rows = await sql.query(
    `SELECT attempt, lease_token, worker_id, started_at, ended_at, outcome, error FROM job_attempts
     WHERE job_id = $1 ORDER BY attempt`,
    [jobId],
  );
  return rows.map((row) => ({
    attempt: row.attempt as number,
    leaseToken: row.lease_token as number,
    workerId: row.worker_id as WorkerId,
    startedAt: row.started_at as Date,
    endedAt: row.ended_at as Date | null,
    outcome: row.outcome as AttemptOutcome | null,
    error: row.error as JobFailure | null,
  }));
}

export interface JobOutput {
  readonly jobId: JobId;
  readonly ordinal: number;
  readonly role: OutputRole;
  readonly backend: string;
  readonly key: string;
  readonly uri: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly mediaType: string;
  readonly media: MediaInfo;
  /** The object that was published; only this very object is ever deleted. */
  readonly identity: string;
  readonly createdAt: Date;
  readonly deletedAt: Date | null;
}

export const OUTPUT_COLUMNS =
  "job_id, ordinal, role, backend, key, uri, size_bytes, sha256, media_type, media, identity, created_at, deleted_at";

export function toOutput(row: SqlRow): JobOutput {
  return {
    jobId: row.job_id as JobId,
    ordinal: row.ordinal as number,
    role: row.role as OutputRole,
    backend: row.backend as string,
    key: row.key as string,
    uri: row.uri as string,
    sizeBytes: row.size_bytes as number,
    sha256: row.sha256 as string,
    mediaType: row.media_type as string,
    media: row.media as MediaInfo,
    identity: row.identity as string,
    createdAt: row.created_at as Date,
    deletedAt: row.deleted_at as Date | null,
  };
}

/** Every output that was published, in order; those deleted since say so. */
export async function listOutputs(sql: SqlRunner, jobId: JobId): Promise<JobOutput[]> {
  const rows = await sql.query(`SELECT ${OUTPUT_COLUMNS} FROM job_outputs WHERE job_id = $1 ORDER BY ordinal`, [jobId]);
  return rows.map(toOutput);
}

/** Retrying by hand: a new job with the same spec. The old one and its events stay as they are. */
import type { SqlRunner } from "../database/sql.ts";
import { type Principal, visibleKey } from "../security/principal.ts";
import { announceJob } from "./announce.ts";
import type { ConvertSpec } from "./convert.schema.ts";
import { IS_FINAL } from "./guards.ts";
import { requireQuota } from "./quota.ts";
import { appendEvent, queueRank } from "./statements.ts";
import { type ChangeResult, getJob, isUuid, JOB_COLUMNS, toJob } from "./store.ts";
import { checkAgain, type SubmitDeps, type SubmitOptions, unfitFor } from "./submit.ts";
import { type JobId, type KeyId, PRIORITIES } from "./types.ts";
import { requireUploads } from "./uploads.ts";

const PRIORITY_NAME = `(ARRAY[${PRIORITIES.map((priority) => `'${priority}'`).join(", ")}])[u.priority + 1]`;

const RETRY = `
WITH old AS (
  SELECT j.* FROM jobs j WHERE j.id = $1 AND ($2::uuid IS NULL OR j.key_id = $2::uuid) AND ${IS_FINAL}),
created AS (
  INSERT INTO jobs (id, key_id, type, status, priority, queue_rank, spec, metadata, retry_of, webhook_url,
    webhook_events, request_id, traceparent, unfit, log_seq)
  SELECT $3, old.key_id, old.type, 'queued', old.priority, ${queueRank("old", "old.priority")}, old.spec, old.metadata, old.id,
    old.webhook_url, old.webhook_events, $4::text, $5::text, $6::text[], 1
  FROM old
  RETURNING *),
${appendEvent(
  "created",
  "'job.queued'",
  `jsonb_build_object('type', u.type, 'priority', ${PRIORITY_NAME}, 'retry_of', u.retry_of)`,
)}
SELECT ${JOB_COLUMNS} FROM created`;

/** Creates a job like a final one, for the same key; `conflict` while the old one has not ended. */
export async function retryJob(
  sql: SqlRunner,
  {
    jobId,
    keyId,
    newId,
    requestId,
    traceparent,
    unfit,
  }: {
    jobId: string;
    keyId: KeyId | null;
    newId: JobId;
    requestId?: string | null;
    traceparent?: string | null;
    /** The kinds of workers that cannot run it, as they are now. */
    unfit?: readonly string[];
  },
): Promise<ChangeResult<"created">> {
  if (!isUuid(jobId)) return { outcome: "not_found", job: null };
  const origin = [requestId ?? null, traceparent ?? null];
  const [row] = await sql.query(RETRY, [jobId, keyId, newId, ...origin, unfit ?? []]);
  if (row !== undefined) return { outcome: "created", job: toJob(row) };
  const job = await getJob(sql, { jobId, keyId });
  return job === null ? { outcome: "not_found", job: null } : { outcome: "conflict", job };
}

/** `retryJob` for a caller, under what its key may do now; what was committed stays, whatever becomes of the hint. */
export async function resubmitJob(
  deps: SubmitDeps,
  principal: Principal,
  { jobId, requestId, traceparent, onCreated }: Omit<SubmitOptions, "keyBase"> & { readonly jobId: string },
): Promise<ChangeResult<"created">> {
  const keyId = visibleKey(principal);
  const old = await getJob(deps.sql, { jobId, keyId });
  if (old === null) return { outcome: "not_found", job: null };
  const spec = old.spec as ConvertSpec;
  checkAgain(deps, principal, spec);
  await requireUploads(deps.sql, old.keyId, spec.inputs);
  const unfit = unfitFor(deps, spec);
  await requireQuota(deps.sql, principal);
  const newId = Bun.randomUUIDv7() as JobId;
  const result = await deps.sql.transaction(async (tx) => {
    const retried = await retryJob(tx, { jobId, keyId, newId, requestId, traceparent, unfit });
    if (retried.outcome === "created") await onCreated?.(tx, retried.job);
    return retried;
  });
  if (result.outcome === "created") await announceJob(deps, result.job);
  return result;
}

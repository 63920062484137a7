/** Batches: many jobs by one request, in one transaction; how they are together, and their common end. */
import { json, type SqlRow, type SqlRunner } from "../database/sql.ts";
import { type ErrorDetail, type ErrorKind, RendiffError } from "../errors.ts";
import type { Principal } from "../security/principal.ts";
import { parseRequest } from "../validation/parse.ts";
import { checkWebhookUrl } from "../webhooks/webhook.schema.ts";
import { announceJob, type CancelDeps, requestCancel } from "./announce.ts";
import { type BatchBody, type BatchMode, batchBodySchema } from "./batch.schema.ts";
import type { FindPreset } from "./convert.schema.ts";
import { IS_OPEN } from "./guards.ts";
import { presetFinder } from "./preset-store.ts";
import { requireQuota } from "./quota.ts";
import { insertJobs, isUuid, type NewJob } from "./store.ts";
import { CHECKS, newJobOf, type SubmitDeps } from "./submit.ts";
import type { Job, JobId, JobStatus, KeyId } from "./types.ts";
import { requireUploads } from "./uploads.ts";

/** An item that was refused: where it stood, and why. */
export interface RejectedItem {
  readonly index: number;
  readonly kind: ErrorKind;
  readonly message: string;
  readonly details: readonly ErrorDetail[];
}

export interface Batch {
  readonly id: string;
  readonly mode: BatchMode;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly webhookUrl: string | null;
  readonly rejected: readonly RejectedItem[];
  readonly createdAt: Date;
  /** When its last job ended. */
  readonly completedAt: Date | null;
}

const COLUMNS = "id, mode, metadata, webhook_url, rejected, created_at, completed_at";

function toBatch(row: SqlRow): Batch {
  return {
    id: row.id as string,
    mode: row.mode as BatchMode,
    metadata: row.metadata as Record<string, unknown>,
    webhookUrl: row.webhook_url as string | null,
    rejected: row.rejected as RejectedItem[],
    createdAt: row.created_at as Date,
    completedAt: row.completed_at as Date | null,
  };
}

interface Sorted {
  readonly accepted: readonly NewJob[];
  readonly rejected: readonly RejectedItem[];
}

/** What a client did wrong belongs to its item; a bug or an outage is nobody's item. */
const OF_ITEM: ReadonlySet<ErrorKind> = new Set([
  "request.invalid",
  "request.unsupported",
  "auth.forbidden",
  // Of an upload that an item reads.
  "request.not_found",
  "request.conflict",
]);

async function sortItems(
  deps: SubmitDeps,
  principal: Principal,
  body: BatchBody,
  { findPreset, ...origin }: Omit<BatchSubmitOptions, "onCreated"> & { readonly findPreset: FindPreset },
): Promise<Sorted> {
  const accepted: NewJob[] = [];
  const rejected: RejectedItem[] = [];
  for (const [index, { type, ...item }] of body.items.entries()) {
    try {
      const request = CHECKS[type](deps, principal, item, origin.keyBase, findPreset);
      await requireUploads(deps.sql, principal.keyId, request.spec.inputs);
      accepted.push(newJobOf(deps, principal, type, request, origin));
    } catch (error) {
      if (!(error instanceof RendiffError) || !OF_ITEM.has(error.kind)) throw error;
      rejected.push({ index, kind: error.kind, message: error.publicMessage, details: error.details });
    }
  }
  return { accepted, rejected };
}

/** One error for all items, as `items[2].crf`. */
function refuseAll(rejected: readonly RejectedItem[], publicMessage: string): never {
  const at = (index: number, path: string): string => (path === "" ? `items[${index}]` : `items[${index}].${path}`);
  const details = rejected.flatMap(({ index, message, details: own }) =>
    own.length === 0
      ? [{ path: at(index, ""), message }]
      : own.map((detail) => ({ path: at(index, detail.path), message: detail.message })),
  );
  throw new RendiffError({ kind: rejected[0]?.kind ?? "request.invalid", publicMessage, details });
}

export interface SubmittedBatch {
  readonly batch: Batch;
  readonly jobs: readonly Job[];
}

export interface BatchSubmitOptions {
  readonly keyBase: string;
  readonly requestId: string;
  /** Of the request; null without a trace. */
  readonly traceparent: string | null;
  /** Runs in the transaction that creates the batch; when it rejects, there is none. */
  readonly onCreated: ((tx: SqlRunner, submitted: SubmittedBatch) => Promise<void>) | null;
}

/**
 * Stores a batch and its jobs together. A batch of which nothing can run is refused in either mode, with every item's
 * problem. Throws `request.*` or `auth.forbidden`.
 */
export async function submitBatch(
  deps: SubmitDeps,
  principal: Principal,
  value: unknown,
  { onCreated, ...origin }: BatchSubmitOptions,
): Promise<SubmittedBatch> {
  const body = parseRequest(batchBodySchema, value);
  const url = body.webhook_url ?? null;
  const webhookUrl = url === null ? null : checkWebhookUrl(deps.urlGuard, url, "webhook_url");
  const findPreset = await presetFinder(deps.sql, principal.keyId, body.items);
  const { accepted, rejected } = await sortItems(deps, principal, body, { ...origin, findPreset });
  if (accepted.length === 0) refuseAll(rejected, "None of the batch's items can run.");
  if (rejected.length > 0 && body.mode === "atomic") refuseAll(rejected, "Some of the batch's items cannot run.");
  const { keyId } = principal;
  await requireQuota(deps.sql, principal);
  const submitted = await deps.sql.transaction(async (tx) => {
    const [row] = await tx.query(
      `INSERT INTO batches (id, key_id, mode, metadata, webhook_url, rejected, job_count, open_count)
       VALUES ($1, $2, $3, $4::jsonb, $5, $6::jsonb, $7::integer, $7::integer) RETURNING ${COLUMNS}`,
      [Bun.randomUUIDv7(), keyId, body.mode, json(body.metadata), webhookUrl, json(rejected), accepted.length],
    );
    if (row === undefined) throw new RendiffError({ kind: "internal", publicMessage: "The batch was not stored." });
    const batch = toBatch(row);
    const jobs = await insertJobs(
      tx,
      accepted.map((job) => ({ ...job, batchId: batch.id })),
    );
    await onCreated?.(tx, { batch, jobs });
    return { batch, jobs };
  });
  for (const job of submitted.jobs) await announceJob(deps, job);
  return submitted;
}

/** Null when there is none, or it is another key's; `keyId: null` sees all. */
export async function getBatch(
  sql: SqlRunner,
  { batchId, keyId }: { batchId: string; keyId: KeyId | null },
): Promise<Batch | null> {
  if (!isUuid(batchId)) return null;
  const [row] = await sql.query(
    `SELECT ${COLUMNS} FROM batches WHERE id = $1 AND ($2::uuid IS NULL OR key_id = $2::uuid)`,
    [batchId, keyId],
  );
  return row === undefined ? null : toBatch(row);
}

export interface BatchJob {
  readonly id: JobId;
  readonly status: JobStatus;
  /** Of the row; live progress may be further. */
  readonly progress: number;
}

/** In the order of the items. */
export async function listBatchJobs(sql: SqlRunner, batchId: string): Promise<BatchJob[]> {
  return sql.query<BatchJob>("SELECT id, status, progress FROM jobs WHERE batch_id = $1 ORDER BY id", [batchId]);
}

/**
 * Cancels every job that has not ended, and waits up to `waitMs` for them. `cancelled`: all have ended, and their FFmpegs
 * are dead; `requested`: some have not yet; `conflict`: there was nothing to cancel.
 */
export async function cancelBatch(
  deps: CancelDeps,
  { batchId, keyId, waitMs }: { batchId: string; keyId: KeyId | null; waitMs: number },
): Promise<"cancelled" | "requested" | "conflict"> {
  const open = await deps.sql.query<{ id: JobId }>(
    `SELECT j.id FROM jobs j WHERE j.batch_id = $1 AND ${IS_OPEN} ORDER BY j.id`,
    [batchId],
  );
  const results = await Promise.all(open.map(({ id }) => requestCancel(deps, { jobId: id, keyId, waitMs })));
  const outcomes = results.map(({ outcome }) => outcome);
  if (outcomes.includes("requested")) return "requested";
  return outcomes.includes("cancelled") ? "cancelled" : "conflict";
}

/** Deletes batches that ended so long ago and whose jobs are gone. Returns how many; call again while it is `limit`. */
export async function deleteExpiredBatches(
  sql: SqlRunner,
  { olderThanMs, limit }: { olderThanMs: number; limit: number },
): Promise<number> {
  const rows = await sql.query(
    `WITH expired AS (
       SELECT b.id FROM batches b
       WHERE b.completed_at <= now() - $1::double precision * interval '1 millisecond'
         AND NOT EXISTS (SELECT FROM jobs j WHERE j.batch_id = b.id)
       ORDER BY b.id LIMIT $2::integer FOR UPDATE SKIP LOCKED)
     DELETE FROM batches b USING expired e WHERE b.id = e.id RETURNING b.id`,
    [olderThanMs, limit],
  );
  return rows.length;
}

/** `/batch`: many jobs by one request. */
import { Elysia } from "elysia";
import { type MergedItem, openMerged, parseCursor } from "../../src/events/merged.ts";
import {
  type Batch,
  cancelBatch,
  getBatch,
  listBatchJobs,
  type RejectedItem,
  type SubmittedBatch,
  submitBatch,
} from "../../src/jobs/batch.ts";
import { maySeeBatches, visibleKey } from "../../src/security/principal.ts";
import { invalidRequest } from "../../src/validation/parse.ts";
import { answer, baseUrl, conflict, notFound } from "../answers.ts";
import { readEmptyBody, readJson } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { HTTP_ERRORS } from "../errors.ts";
import { requireRoom, sseAnswer } from "../events/events.ts";
import { toSseText } from "../events/sse.ts";
import { idempotently } from "../idempotent.ts";
import { viewNewJob } from "../jobs/views.ts";
import { parseQuery } from "../query.ts";
import { API_PREFIX } from "../route-rule.ts";
import { originOf, principalOf } from "../state.ts";
import { type BatchView, batchEventsQuerySchema } from "./batch.routes.ts";

const CANCEL_WAIT_MS = 5_000;

const toRejected = (rejected: readonly RejectedItem[]): BatchView["rejected"] =>
  rejected.map(({ index, kind, message, details }) => ({
    index,
    error: { code: HTTP_ERRORS[kind].code, message, details: [...details] },
  }));

async function create(context: HttpContext, request: Request): Promise<Response> {
  const { value, bytes } = await readJson(request, context.config.http.bodyLimitBytes);
  const view = ({ batch, jobs }: SubmittedBatch) => ({
    batch_id: batch.id,
    jobs: jobs.map((job) => viewNewJob(context, request, job)),
    rejected: toRejected(batch.rejected),
  });
  const location = ({ batch }: SubmittedBatch): string => `${API_PREFIX}/batch/${batch.id}`;
  return idempotently(context, request, bytes, async (store) => {
    const submitted = await submitBatch(context, principalOf(request), value, {
      keyBase: `${baseUrl(context, request)}${API_PREFIX}/keys/`,
      ...originOf(request),
      onCreated:
        store === null
          ? null
          : (tx, created) => store(tx, { status: 201, body: view(created), location: location(created) }),
    });
    return answer(201, view(submitted), { location: location(submitted) });
  });
}

async function requireBatch(context: HttpContext, request: Request, batchId: string): Promise<Batch> {
  const principal = principalOf(request);
  const batch = maySeeBatches(principal)
    ? await getBatch(context.sql, { batchId, keyId: visibleKey(principal) })
    : null;
  if (batch === null) throw notFound("batch");
  return batch;
}

async function toView(context: HttpContext, request: Request, batch: Batch): Promise<BatchView> {
  const jobs = await listBatchJobs(context.sql, batch.id);
  const count = (status: string): number => jobs.filter((job) => job.status === status).length;
  const isOpen = (status: string): boolean => status === "queued" || status === "processing";
  const done = jobs.map(({ status, progress }) => (isOpen(status) ? progress : 100));
  const open = jobs.some(({ status }) => isOpen(status));
  const self = `${baseUrl(context, request)}${API_PREFIX}/batch/${batch.id}`;
  return {
    id: batch.id,
    status: !open ? "completed" : count("queued") === jobs.length ? "queued" : "processing",
    progress: Math.round((done.reduce((sum, one) => sum + one, 0) / Math.max(1, jobs.length)) * 10) / 10,
    counts: {
      ...{ total: jobs.length, queued: count("queued"), processing: count("processing") },
      ...{ completed: count("completed"), failed: count("failed"), cancelled: count("cancelled") },
      rejected: batch.rejected.length,
    },
    mode: batch.mode,
    jobs: jobs.map(({ id, status, progress }) => ({ id, status, progress: status === "completed" ? 100 : progress })),
    rejected: toRejected(batch.rejected),
    metadata: { ...batch.metadata },
    webhook_url: batch.webhookUrl,
    created_at: batch.createdAt.toISOString(),
    completed_at: batch.completedAt?.toISOString() ?? null,
    links: {
      ...{ self, events: `${self}/events`, cancel: self },
      jobs: `${baseUrl(context, request)}${API_PREFIX}/jobs?batch_id=${batch.id}`,
    },
  };
}

async function cancel(context: HttpContext, request: Request, batchId: string): Promise<Response> {
  await readEmptyBody(request, context.config.http.bodyLimitBytes);
  const batch = await requireBatch(context, request, batchId);
  const keyId = visibleKey(principalOf(request));
  const outcome = await cancelBatch(context, { batchId: batch.id, keyId, waitMs: CANCEL_WAIT_MS });
  if (outcome === "conflict") throw conflict("Every job of the batch has ended or is being published.");
  const after = await requireBatch(context, request, batchId);
  return answer(outcome === "cancelled" ? 200 : 202, await toView(context, request, after));
}

const toSse = ({ item, cursorAt }: MergedItem): string => toSseText(item, ({ seq }) => cursorAt(seq));

async function follow(context: HttpContext, request: Request, batchId: string): Promise<Response> {
  parseQuery(request, batchEventsQuerySchema);
  const batch = await requireBatch(context, request, batchId);
  const jobs = await listBatchJobs(context.sql, batch.id);
  const header = request.headers.get("last-event-id") ?? "";
  const cursor = header === "" ? jobs.map(() => 0) : parseCursor(header, jobs.length);
  if (cursor === null) {
    throw invalidRequest([{ path: "Last-Event-ID", message: "must be the id of an event of this stream" }]);
  }
  requireRoom(context, principalOf(request));
  const ids = jobs.map(({ id }) => id);
  const merged = await openMerged(context.events, ids, cursor);
  if (merged.ended) {
    merged.close();
    return new Response(null, { status: 204 });
  }
  return sseAnswer(context, request, merged, toSse);
}

export const batch = (context: HttpContext) =>
  new Elysia({ name: "batch", prefix: API_PREFIX })
    .post("/batch", ({ request }) => create(context, request), { parse: "none" })
    .get("/batch/:id", async ({ request, params }) =>
      answer(200, await toView(context, request, await requireBatch(context, request, params.id))),
    )
    .get("/batch/:id/events", ({ request, params }) => follow(context, request, params.id))
    .delete("/batch/:id", ({ request, params }) => cancel(context, request, params.id), { parse: "none" });

/** `/jobs`: read, list, cancel, prioritise, retry, logs and outputs. */
import { Elysia } from "elysia";
import { toEventMessage } from "../../src/events/messages.ts";
import { announceJob, requestCancel } from "../../src/jobs/announce.ts";
import { deleteOutputs } from "../../src/jobs/delete-outputs.ts";
import { listJobs } from "../../src/jobs/list.ts";
import { resubmitJob } from "../../src/jobs/retry.ts";
import { getJob, listEvents, listOutputs, setPriority } from "../../src/jobs/store.ts";
import type { Job } from "../../src/jobs/types.ts";
import { maySeeJob, visibleKey } from "../../src/security/principal.ts";
import { parseRequest } from "../../src/validation/parse.ts";
import { answer, conflict, notFound } from "../answers.ts";
import { readEmptyBody, readJson } from "../body.ts";
import type { HttpContext } from "../context.ts";
import { idempotently } from "../idempotent.ts";
import { parseQuery } from "../query.ts";
import { API_PREFIX } from "../route-rule.ts";
import { originOf, principalOf } from "../state.ts";
import { jobListQuerySchema, logQuerySchema, priorityBodySchema } from "./jobs.routes.ts";
import { parseListQuery } from "./list-query.ts";
import { outputViews, viewJob, viewJobs, viewNewJob } from "./views.ts";

const CANCEL_WAIT_MS = 5_000;

/** The job, if the caller may reach it: another tenant's is not there. */
export async function requireJob(context: HttpContext, request: Request, jobId: string): Promise<Job> {
  const principal = principalOf(request);
  const job = maySeeJob(principal, jobId) ? await getJob(context.sql, { jobId, keyId: visibleKey(principal) }) : null;
  if (job === null) throw notFound("job");
  return job;
}

async function list(context: HttpContext, request: Request): Promise<Response> {
  const { query, metadata } = parseListQuery(request, jobListQuerySchema);
  const byCursor = query.cursor !== undefined;
  const page = await listJobs(context.readSql, {
    keyId: principalOf(request).keyId,
    ...(query.status === undefined ? {} : { status: query.status }),
    ...(query.type === undefined ? {} : { type: query.type }),
    ...(query.batch_id === undefined ? {} : { batchId: query.batch_id }),
    ...(query.created_after === undefined ? {} : { createdAfter: query.created_after }),
    ...(query.created_before === undefined ? {} : { createdBefore: query.created_before }),
    ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
    metadata,
    sort: query.sort,
    limit: query.page_size,
    offset: (query.page - 1) * query.page_size,
  });
  return answer(200, {
    items: await viewJobs(context, request, page.items, context.readSql),
    total: page.total,
    total_capped: page.totalCapped,
    page: byCursor ? null : query.page,
    page_size: query.page_size,
    has_next: page.hasNext,
    has_prev: byCursor || query.page > 1,
    next_cursor: page.nextCursor,
  });
}

async function prioritize(context: HttpContext, request: Request, jobId: string): Promise<Response> {
  const { value } = await readJson(request, context.config.http.bodyLimitBytes);
  const { priority } = parseRequest(priorityBodySchema, value);
  const result = await setPriority(context.sql, { jobId, keyId: visibleKey(principalOf(request)), priority });
  if (result.outcome === "not_found") throw notFound("job");
  if (result.outcome === "conflict") throw conflict("The job has ended; its priority means nothing any more.");
  await announceJob(context, result.job);
  return answer(200, await viewJob(context, request, result.job));
}

async function cancel(context: HttpContext, request: Request, jobId: string): Promise<Response> {
  const keyId = visibleKey(principalOf(request));
  const { outcome, job } = await requestCancel(context, { jobId, keyId, waitMs: CANCEL_WAIT_MS });
  if (outcome === "not_found") throw notFound("job");
  if (outcome === "conflict") {
    const ended = job.status !== "processing" && job.status !== "queued";
    throw conflict(ended ? `The job has already ended: it is ${job.status}.` : "The job is being published.");
  }
  return answer(outcome === "cancelled" ? 200 : 202, await viewJob(context, request, job));
}

async function retry(context: HttpContext, request: Request, jobId: string): Promise<Response> {
  const bytes = await readEmptyBody(request, context.config.http.bodyLimitBytes);
  const location = ({ id }: Job): string => `${API_PREFIX}/jobs/${id}`;
  return idempotently(context, request, bytes, async (store) => {
    const result = await resubmitJob(context, principalOf(request), {
      ...{ jobId, ...originOf(request) },
      onCreated:
        store === null
          ? null
          : (tx, created) =>
              store(tx, { status: 201, body: viewNewJob(context, request, created), location: location(created) }),
    });
    if (result.outcome === "not_found") throw notFound("job");
    if (result.outcome === "conflict") throw conflict("The job has not ended yet; only a job that has can be retried.");
    return answer(201, viewNewJob(context, request, result.job), { location: location(result.job) });
  });
}

async function logs(context: HttpContext, request: Request, jobId: string): Promise<Response> {
  const { after, limit } = parseQuery(request, logQuerySchema);
  const job = await requireJob(context, request, jobId);
  const events = await listEvents(context.sql, { jobId: job.id, afterSeq: after, limit });
  const last = events.at(-1);
  return answer(200, {
    items: events.map(toEventMessage),
    next_after: events.length === limit && last !== undefined ? last.seq : null,
  });
}

async function outputs(context: HttpContext, request: Request, jobId: string): Promise<Response> {
  const job = await requireJob(context, request, jobId);
  return answer(200, { items: outputViews(context, request, await listOutputs(context.sql, job.id)) });
}

async function removeOutputs(context: HttpContext, request: Request, jobId: string): Promise<Response> {
  const job = await requireJob(context, request, jobId);
  if (job.completedAt === null) throw conflict("The job has not ended yet.");
  const { deleted, busy } = await deleteOutputs(context, job.id);
  return answer(200, { deleted, busy });
}

export const jobs = (context: HttpContext) =>
  new Elysia({ name: "jobs", prefix: API_PREFIX })
    .get("/jobs", ({ request }) => list(context, request))
    .get("/jobs/:id", async ({ request, params }) =>
      answer(200, await viewJob(context, request, await requireJob(context, request, params.id))),
    )
    .patch("/jobs/:id", ({ request, params }) => prioritize(context, request, params.id), { parse: "none" })
    .delete("/jobs/:id", ({ request, params }) => cancel(context, request, params.id), { parse: "none" })
    .post("/jobs/:id/retry", ({ request, params }) => retry(context, request, params.id), { parse: "none" })
    .get("/jobs/:id/logs", ({ request, params }) => logs(context, request, params.id))
    .get("/jobs/:id/outputs", ({ request, params }) => outputs(context, request, params.id))
    .delete("/jobs/:id/outputs", ({ request, params }) => removeOutputs(context, request, params.id), {
      parse: "none",
    });

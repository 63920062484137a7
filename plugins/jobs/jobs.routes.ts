/** The rules of `/jobs`. */
import { z } from "zod";
import { JOB_STATUSES, JOB_TYPES, PRIORITIES } from "../../src/jobs/types.ts";
import type { RouteRule } from "../route-rule.ts";
import { jobOutputSchema, jobPageSchema, jobSchema, logPageSchema } from "./job.schema.ts";

const PAGE_SIZE_MAX = 100;
const PAGE_MAX = 1_000;
const LOG_LIMIT_MAX = 1_000;

/** `a,b` and a repeated parameter are the same list. */
function listOf<const Values extends readonly [string, ...string[]]>(values: Values) {
  return z.preprocess(
    (value) => (Array.isArray(value) ? value : [value]).flatMap((item) => String(item).split(",")),
    z.array(z.enum(values)).min(1).max(values.length),
  );
}

const instant = z.iso
  .datetime({ offset: true, message: "must be an ISO 8601 time, as in 2026-01-31T12:00:00Z" })
  .transform((text) => new Date(text));

export const jobListQuerySchema = z.strictObject({
  status: listOf(JOB_STATUSES).optional().describe("One or several, by commas."),
  type: listOf(JOB_TYPES).optional(),
  batch_id: z.uuid().optional(),
  created_after: instant.optional(),
  created_before: instant.optional(),
  sort: z.enum(["created_at", "-created_at"]).default("-created_at").describe("A minus puts the newest first."),
  page: z.coerce.number().int().min(1).max(PAGE_MAX).default(1).describe("For pages further in use cursor."),
  page_size: z.coerce.number().int().min(1).max(PAGE_SIZE_MAX).default(20),
  cursor: z.string().min(1).max(200).optional().describe("The next_cursor of an earlier page; wins over page."),
});

export const logQuerySchema = z.strictObject({
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
  limit: z.coerce.number().int().min(1).max(LOG_LIMIT_MAX).default(100),
});

export const priorityBodySchema = z.strictObject({ priority: z.enum(PRIORITIES) });

export const outputsSchema = z.strictObject({ items: z.array(jobOutputSchema) });

export const outputDeletionSchema = z.strictObject({
  deleted: z.array(z.int()).describe("Ordinals of the outputs that are gone now."),
  busy: z.array(z.int()).describe("Ordinals whose place another job is publishing to: try again later."),
});

const job = { description: "The job.", schema: jobSchema };
const api = { at: "api", tag: "Jobs" } as const;

export const jobsRoutes: readonly RouteRule[] = [
  {
    ...api,
    id: "jobs.list",
    method: "GET",
    path: "/jobs",
    access: "readonly",
    summary: "List your jobs",
    description: "Filter by your own metadata with `metadata.{name}={value}`.",
    query: jobListQuerySchema,
    answers: { 200: { description: "A page of jobs.", schema: jobPageSchema } },
  },
  {
    ...api,
    id: "jobs.get",
    method: "GET",
    path: "/jobs/:id",
    access: "readonly",
    summary: "Read a job",
    answers: { 200: job },
  },
  {
    ...api,
    id: "jobs.prioritize",
    method: "PATCH",
    path: "/jobs/:id",
    access: "user",
    summary: "Change a job's priority",
    body: priorityBodySchema,
    answers: { 200: job },
  },
  {
    ...api,
    id: "jobs.cancel",
    method: "DELETE",
    path: "/jobs/:id",
    access: "user",
    summary: "Cancel a job",
    description: "Answers 409 when the job has ended or is being published.",
    answers: {
      200: { description: "Cancelled; FFmpeg is dead.", schema: jobSchema },
      202: { description: "Recorded; the worker has not ended it yet.", schema: jobSchema },
    },
  },
  {
    ...api,
    id: "jobs.retry",
    method: "POST",
    path: "/jobs/:id/retry",
    access: "user",
    summary: "Run a finished job again",
    description: "Makes a new job with the same spec; 409 unless the job has ended.",
    idempotent: true,
    answers: { 201: { description: "The new job.", schema: jobSchema } },
  },
  {
    ...api,
    id: "jobs.logs",
    method: "GET",
    path: "/jobs/:id/logs",
    access: "readonly",
    summary: "Read a job's durable events, in order",
    query: logQuerySchema,
    answers: { 200: { description: "A page of events.", schema: logPageSchema } },
  },
  {
    ...api,
    id: "jobs.outputs",
    method: "GET",
    path: "/jobs/:id/outputs",
    access: "readonly",
    summary: "List a job's outputs with download URLs",
    answers: { 200: { description: "Every output.", schema: outputsSchema } },
  },
  {
    ...api,
    id: "jobs.outputs.delete",
    method: "DELETE",
    path: "/jobs/:id/outputs",
    access: "user",
    summary: "Delete a job's outputs from storage",
    answers: { 200: { description: "What is gone.", schema: outputDeletionSchema } },
  },
];

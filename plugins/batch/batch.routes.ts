/** The rules of `/batch`. */
import { z } from "zod";
import { BATCH_MODES, batchBodySchema } from "../../src/jobs/batch.schema.ts";
import { JOB_STATUSES } from "../../src/jobs/types.ts";
import { ERROR_CODES } from "../errors.ts";
import { tokenField } from "../events/events.routes.ts";
import { jobSchema } from "../jobs/job.schema.ts";
import type { RouteRule } from "../route-rule.ts";

const timestamp = z.iso.datetime();

const rejectedSchema = z.array(
  z.strictObject({
    index: z.int().describe("Its place among the items, from 0."),
    error: z.strictObject({
      code: z.enum(ERROR_CODES),
      message: z.string(),
      details: z.array(z.strictObject({ path: z.string(), message: z.string() })),
    }),
  }),
);

export const createdBatchSchema = z.strictObject({
  batch_id: z.uuid(),
  jobs: z.array(jobSchema),
  rejected: rejectedSchema,
});

export const batchSchema = z.strictObject({
  id: z.uuid(),
  status: z.enum(["queued", "processing", "completed"]).describe("completed: every job has ended, however."),
  progress: z.number().min(0).max(100).describe("The mean of its jobs'; one that has ended counts as 100."),
  counts: z.strictObject({
    total: z.int(),
    queued: z.int(),
    processing: z.int(),
    completed: z.int(),
    failed: z.int(),
    cancelled: z.int(),
    rejected: z.int(),
  }),
  mode: z.enum(BATCH_MODES),
  jobs: z.array(z.strictObject({ id: z.uuid(), status: z.enum(JOB_STATUSES), progress: z.number().min(0).max(100) })),
  rejected: rejectedSchema,
  metadata: z.record(z.string(), z.unknown()),
  webhook_url: z.string().nullable(),
  created_at: timestamp,
  completed_at: timestamp.nullable(),
  links: z.strictObject({ self: z.string(), events: z.string(), jobs: z.string(), cancel: z.string() }),
});
export type BatchView = z.infer<typeof batchSchema>;

export const batchEventsQuerySchema = z.strictObject({ token: tokenField });

const api = { at: "api", tag: "Batches" } as const;

export const batchRoutes: readonly RouteRule[] = [
  {
    ...api,
    id: "batch.create",
    method: "POST",
    path: "/batch",
    access: "user",
    summary: "Create many jobs at once",
    description: "All of them in one transaction. Where no item can run, nothing is made.",
    idempotent: true,
    body: batchBodySchema,
    answers: { 201: { description: "The jobs, and the items that were refused.", schema: createdBatchSchema } },
  },
  {
    ...api,
    id: "batch.get",
    method: "GET",
    path: "/batch/:id",
    access: "readonly",
    summary: "Read how a batch is",
    answers: { 200: { description: "The batch.", schema: batchSchema } },
  },
  {
    ...api,
    id: "batch.cancel",
    method: "DELETE",
    path: "/batch/:id",
    access: "user",
    summary: "Cancel a batch's jobs",
    description: "Answers 409 when every job has ended or is being published.",
    answers: {
      200: { description: "No job runs any more.", schema: batchSchema },
      202: { description: "Recorded; some workers have not ended theirs yet.", schema: batchSchema },
    },
  },
  {
    ...api,
    id: "batch.events",
    method: "GET",
    path: "/batch/:id/events",
    access: "readonly",
    summary: "Follow a batch's jobs by server-sent events",
    description:
      "The same events as of single jobs, each with its job_id. `id:` says where you are in all of them, and resumes by " +
      "Last-Event-ID. The stream ends when every job has; asked for again it answers 204.",
    endless: true,
    query: batchEventsQuerySchema,
    answers: {
      200: { description: "The stream.", mediaType: "text/event-stream" },
      204: { description: "Every job has ended, and the client has every event." },
    },
  },
];

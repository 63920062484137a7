/** A job and its parts as clients read them. */
import { z } from "zod";
import { JOB_STATUSES, JOB_TYPES, PRIORITIES, STAGES } from "../../src/jobs/types.ts";

const timestamp = z.iso.datetime();
const jsonObject = z.record(z.string(), z.unknown());

export const jobOutputSchema = z.strictObject({
  ordinal: z.int(),
  role: z.string().describe("primary, thumbnail, audio, preview, waveform, map, key, manifest, segment or report."),
  uri: z.string(),
  bytes: z.int(),
  sha256: z.string(),
  media_type: z.string(),
  media: z.unknown().describe("What ffprobe says of the file, normalised."),
  created_at: timestamp,
  deleted_at: timestamp.nullable().describe("Of its deletion, or of its replacement by another job's output."),
  download_url: z.string().nullable().describe("Time-limited; null where the file cannot be served from here."),
  download_expires_at: timestamp.nullable(),
});

export const jobErrorSchema = z.strictObject({
  kind: z.string(),
  message: z.string(),
  retryable: z.boolean(),
  evidence: z.string().nullable().describe("The line of FFmpeg's output that says so."),
  hint: z.string().nullable().describe("What to change."),
});

export const jobSchema = z.strictObject({
  id: z.uuid(),
  type: z.enum(JOB_TYPES),
  status: z.enum(JOB_STATUSES),
  stage: z.enum(STAGES).nullable(),
  progress: z.number().min(0).max(100),
  fps: z.number().nullable(),
  speed: z.number().nullable(),
  eta_seconds: z.number().nullable(),
  priority: z.enum(PRIORITIES),
  attempt: z.int(),
  worker_id: z.uuid().nullable(),
  input_path: z.string(),
  output_path: z.string(),
  operations: z.array(jsonObject),
  options: jsonObject,
  metadata: jsonObject,
  created_at: timestamp,
  started_at: timestamp.nullable(),
  completed_at: timestamp.nullable(),
  run_at: timestamp,
  outputs: z.array(jobOutputSchema),
  metrics: z.record(z.string(), z.number()),
  results: z.unknown(),
  error: jobErrorSchema.nullable(),
  warnings: z.array(z.string()),
  webhook_url: z.string().nullable(),
  batch_id: z.uuid().nullable(),
  retry_of: z.uuid().nullable(),
  links: z.strictObject({
    self: z.string(),
    events: z.string(),
    ws: z.string(),
    logs: z.string(),
    outputs: z.string(),
    cancel: z.string(),
  }),
});
export type JobView = z.infer<typeof jobSchema>;
export type JobOutputView = z.infer<typeof jobOutputSchema>;

export const jobPageSchema = z.strictObject({
  items: z.array(jobSchema),
  total: z.int().describe("Exact up to 10,000."),
  total_capped: z.boolean(),
  page: z.int().nullable().describe("Null when the page was asked for by cursor."),
  page_size: z.int(),
  has_next: z.boolean(),
  has_prev: z.boolean(),
  next_cursor: z.string().nullable(),
});

export const eventSchema = z.strictObject({
  job_id: z.uuid(),
  seq: z.int().describe("From 1, without gaps within a job."),
  type: z.string(),
  at: timestamp,
  data: jsonObject,
});

export const logPageSchema = z.strictObject({
  items: z.array(eventSchema),
  next_after: z.int().nullable().describe("Pass it as after for the next page; null at the end."),
});

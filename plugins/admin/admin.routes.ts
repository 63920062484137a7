/** The rules of `/admin`. */
import { z } from "zod";
import { HISTORY_HOURS_MAX } from "../../src/jobs/system-metrics.ts";
import { keyChangesSchema, rotationSchema } from "../../src/security/change-keys.ts";
import { keyPropertiesSchema } from "../../src/security/keys.schema.ts";
import { ROLES } from "../../src/security/roles.ts";
import { booleanQuery } from "../query.ts";
import type { RouteRule } from "../route-rule.ts";

const timestamp = z.iso.datetime();

export const apiKeySchema = z.strictObject({
  id: z.uuid(),
  name: z.string(),
  role: z.enum(ROLES),
  allowed_operations: z.array(z.string()).nullable(),
  read_backends: z.array(z.string()).nullable(),
  write_backends: z.array(z.string()).nullable(),
  rate_limit: z.int().nullable(),
  max_concurrent_jobs: z.int().nullable(),
  weight: z.number(),
  monthly_limit_minutes: z.int().nullable(),
  created_at: timestamp,
  expires_at: timestamp.nullable(),
  revoked_at: timestamp.nullable(),
  last_used_at: timestamp.nullable(),
});
export type ApiKeyView = z.infer<typeof apiKeySchema>;

export const createdKeySchema = apiKeySchema.extend({
  key: z.string().nullable().describe("Shown once; null in a repeated answer."),
  webhook_secret: z.string().nullable().describe("Shown once; null in a repeated answer."),
});

export const rotatedKeySchema = apiKeySchema.extend({
  key: z.string().nullable().describe("Shown once; null when it was not rotated, and in a repeated answer."),
  webhook_secret: z.string().nullable().describe("Shown once; null when it was not rotated, and in a repeated answer."),
  grace_until: timestamp.describe("Until then the old one works as well."),
});

export const auditQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
  before: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional().describe("Entries before this seq."),
  action: z.string().min(1).max(100).optional(),
  actor: z.string().min(1).max(100).optional().describe("A key's id, cli or unknown."),
});

export const auditPageSchema = z.strictObject({
  items: z.array(
    z.strictObject({
      seq: z.int(),
      at: timestamp,
      actor: z.string(),
      action: z.string(),
      target: z.string().nullable(),
      address: z.string().nullable(),
      request_id: z.string().nullable(),
      data: z.record(z.string(), z.unknown()),
      previous_sha256: z.string(),
      sha256: z.string().describe("Of this entry and the one before it."),
    }),
  ),
  next_before: z.int().nullable(),
});

export const cleanupQuerySchema = z.strictObject({
  dry_run: booleanQuery.describe("Says what would be deleted, and deletes nothing."),
});

export const cleanupSchema = z.strictObject({
  dry_run: z.boolean(),
  jobs: z.int().describe("Ended longer ago than RETENTION_JOBS."),
  jobs_with_outputs: z.int().describe("Ended longer ago than RETENTION_OUTPUTS, with outputs in storage."),
  idempotency_keys: z.int().describe("Answers kept for longer than 24 hours."),
  uploads: z.int().describe("Expired, and needed by no job that has not ended."),
});

export const keyListQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(100).default(50),
  before: z.uuid().optional().describe("Keys older than this one."),
});

export const apiKeyPageSchema = z.strictObject({
  items: z.array(apiKeySchema),
  next_before: z.uuid().nullable(),
});

const classStats = z.strictObject({
  ready: z.int(),
  delayed: z.int(),
  oldest_wait_seconds: z.number(),
});

export const statsQuerySchema = z.strictObject({
  history_hours: z.coerce
    .number()
    .int()
    .min(1)
    .max(HISTORY_HOURS_MAX)
    .default(1)
    .describe("How far `history` reaches back; it has about 60 points whatever that is."),
});

const queueDepth = z.strictObject({ high: z.int(), normal: z.int(), low: z.int() });

const historyPoint = z.strictObject({
  at: timestamp.describe("When the stretch of time begins."),
  replicas: z.int(),
  queue_depth: queueDepth.describe("Jobs that could run and waited, at most."),
  oldest_wait_seconds: z.number().describe("The longest that one of them had waited."),
  slots: z.number().describe("Jobs that all workers could run at once."),
  slots_in_use: z.number(),
  ffmpeg_speed_ratio: z.number().nullable().describe("Media seconds per second; null when nothing was encoded."),
  jobs_completed: z.number(),
  jobs_failed: z.number(),
  requests: z.number(),
  requests_failed: z.number().describe("Answered with 5xx."),
});

export const statsSchema = z.strictObject({
  queue: z.strictObject({ high: classStats, normal: classStats, low: classStats }),
  processing: z.int(),
  ended_24h: z
    .strictObject({ completed: z.int(), failed: z.int(), cancelled: z.int() })
    .describe("Jobs that ended in the last 24 hours."),
  webhooks: z.strictObject({ pending: z.int(), failed_24h: z.int() }),
  output_bytes: z.record(z.string(), z.number()).describe("What jobs' outputs occupy, by storage backend."),
  connections: z.int().describe("Streams and sockets open on this replica."),
  history: z.array(historyPoint).describe("What replicas noted each minute, kept for a week; oldest first."),
});

const liveActors = z.array(
  z.strictObject({
    id: z.string().describe("Its path in the replica: `worker/attempt-{job_id}-{lease}/encode`."),
    state: z.string().describe("Of a chart the state it is in, such as `working.encoding`; else `active`."),
  }),
);

export const workersSchema = z.strictObject({
  items: z.array(
    z.strictObject({
      id: z.uuid(),
      role: z.string(),
      class: z.string(),
      version: z.string(),
      slots: z.int(),
      running: z.int(),
      draining: z.boolean(),
      alive: z.boolean(),
      started_at: timestamp,
      actors: liveActors.nullable().describe("What lives in it now; null when it did not answer within a second."),
    }),
  ),
  others: z
    .array(z.strictObject({ id: z.uuid(), role: z.string(), version: z.string(), actors: liveActors }))
    .describe("Replicas that answered and have no worker: they serve the API, or have only just started."),
});

const occupied = {
  size_bytes: z.number().describe("Of outputs of jobs that are kept and were not deleted."),
  object_count: z.number(),
};

export const storageSchema = z.strictObject({
  backends: z.array(
    z.strictObject({
      name: z.string(),
      type: z.string(),
      readable: z.boolean(),
      writable: z.boolean(),
      free_bytes: z.number().nullable().describe("Null where that has no meaning, or where it cannot be asked now."),
      ...occupied,
    }),
  ),
  keys: z
    .array(z.strictObject({ key_id: z.uuid(), backend: z.string(), ...occupied }))
    .describe("By key and backend, the 100 largest."),
});

const admin = { at: "api", tag: "Administration", access: "admin" } as const;

export const adminRoutes: readonly RouteRule[] = [
  {
    ...admin,
    id: "admin.keys.create",
    method: "POST",
    path: "/admin/api-keys",
    summary: "Make an API key",
    idempotent: true,
    body: keyPropertiesSchema,
    answers: { 201: { description: "The key, shown this once.", schema: createdKeySchema } },
  },
  {
    ...admin,
    id: "admin.keys.list",
    method: "GET",
    path: "/admin/api-keys",
    summary: "List API keys, newest first",
    query: keyListQuerySchema,
    answers: { 200: { description: "Keys without their secrets.", schema: apiKeyPageSchema } },
  },
  {
    ...admin,
    id: "admin.keys.get",
    method: "GET",
    path: "/admin/api-keys/:id",
    summary: "Read an API key's properties",
    answers: { 200: { description: "The key without its secrets.", schema: apiKeySchema } },
  },
  {
    ...admin,
    id: "admin.keys.change",
    method: "PATCH",
    path: "/admin/api-keys/:id",
    summary: "Change an API key's properties",
    description: "What is absent stays as it is. A key cannot change its own.",
    body: keyChangesSchema,
    answers: { 200: { description: "The changed key.", schema: apiKeySchema } },
  },
  {
    ...admin,
    id: "admin.keys.rotate",
    method: "POST",
    path: "/admin/api-keys/:id/rotate",
    summary: "Give a key a new text, a new webhook secret, or both",
    description:
      "For `grace_period` seconds the old one works as well: both texts are accepted, and both secrets sign.",
    idempotent: true,
    body: rotationSchema,
    answers: { 200: { description: "What is new, shown this once.", schema: rotatedKeySchema } },
  },
  {
    ...admin,
    id: "admin.keys.revoke",
    method: "DELETE",
    path: "/admin/api-keys/:id",
    summary: "Revoke an API key",
    description: "It stops working at once here and within seconds on other replicas. Its jobs stay.",
    answers: { 200: { description: "The revoked key.", schema: apiKeySchema } },
  },
  {
    ...admin,
    id: "admin.audit",
    method: "GET",
    path: "/admin/audit",
    summary: "Who did what, newest first",
    description: "Entries are chained by hashes; `rendiff audit verify` checks that none was changed or is missing.",
    query: auditQuerySchema,
    answers: { 200: { description: "A page of entries.", schema: auditPageSchema } },
  },
  {
    ...admin,
    id: "admin.cleanup",
    method: "POST",
    path: "/admin/cleanup",
    summary: "Delete now what has expired",
    description: "The same happens by itself every minute or so, a batch at a time.",
    query: cleanupQuerySchema,
    answers: { 200: { description: "What was deleted, or would be.", schema: cleanupSchema } },
  },
  {
    ...admin,
    id: "admin.stats",
    method: "GET",
    path: "/admin/stats",
    summary: "The queue at this moment, and what was lately",
    query: statsQuerySchema,
    answers: { 200: { description: "Figures.", schema: statsSchema } },
  },
  {
    ...admin,
    id: "admin.storage",
    method: "GET",
    path: "/admin/storage",
    summary: "The storage backends, and what jobs' outputs occupy there",
    answers: { 200: { description: "Backends, and the largest accounts.", schema: storageSchema } },
  },
  {
    ...admin,
    id: "admin.workers",
    method: "GET",
    path: "/admin/workers",
    summary: "The workers that have not left, and what lives in each replica",
    answers: { 200: { description: "Workers, and the other replicas.", schema: workersSchema } },
  },
];

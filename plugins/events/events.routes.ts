/** The rules of live events. */
import { z } from "zod";
import type { RouteRule } from "../route-rule.ts";

/** The gate reads it. */
export const tokenField = z
  .string()
  .max(1_000)
  .optional()
  .describe("From POST /tokens, in place of an API key: browsers cannot set headers here.");

export const eventsQuerySchema = z.strictObject({
  token: tokenField,
  after: z.coerce
    .number()
    .int()
    .min(0)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .describe("Events after this seq; Last-Event-ID wins."),
});

export const socketQuerySchema = z.strictObject({
  token: tokenField,
  after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
});

const api = { at: "api", tag: "Events", access: "readonly", method: "GET", endless: true } as const;

export const eventsRoutes: readonly RouteRule[] = [
  {
    ...api,
    id: "events.stream",
    path: "/jobs/:id/events",
    summary: "Follow a job by server-sent events",
    description:
      "Durable events carry `id:` and resume by Last-Event-ID without a gap or a repeat; live progress (event: progress) " +
      "has no id and is not replayed. The stream ends after the job's final event; asked for again it answers 204.",
    query: eventsQuerySchema,
    answers: {
      200: { description: "The stream.", mediaType: "text/event-stream" },
      204: { description: "The job has ended, and the client has every event." },
    },
  },
  {
    ...api,
    id: "events.jobSocket",
    path: "/jobs/:id/ws",
    summary: "Follow a job by WebSocket",
    description: "The same events as JSON messages; closes with 1000 after the job's final event.",
    query: socketQuerySchema,
    answers: { 101: { description: "The socket." } },
  },
  {
    ...api,
    id: "events.socket",
    path: "/ws",
    summary: "Follow any number of jobs by one WebSocket",
    description: 'Takes {"subscribe": id, "after": seq} and {"unsubscribe": id}.',
    query: z.strictObject({ token: tokenField }),
    answers: { 101: { description: "The socket." } },
  },
];

/** The rules of webhooks: what was sent for a job, sending it again, and trying a receiver out. */
import { z } from "zod";
import type { RouteRule } from "../route-rule.ts";

const timestamp = z.iso.datetime();

const trySchema = z.strictObject({
  at: timestamp,
  duration_ms: z.int(),
  status: z.int().nullable().describe("Null when there was no answer."),
  body: z.string().nullable().describe("The first characters of the answer."),
  error: z.string().nullable(),
});

export const deliverySchema = z.strictObject({
  id: z.uuid().describe("What the receiver sees as webhook-id."),
  event: z.string(),
  url: z.string(),
  status: z.enum(["pending", "delivered", "failed"]),
  attempts: z.int(),
  next_at: timestamp.nullable().describe("When it is tried again; null once it has ended."),
  created_at: timestamp,
  ended_at: timestamp.nullable(),
  tries: z.array(trySchema).describe("The latest ones, oldest first."),
});

export const deliveriesSchema = z.strictObject({ items: z.array(deliverySchema) });

export const testBodySchema = z.strictObject({
  url: z.string().min(1).max(2_048).describe("Where to send the sample."),
});

export const testAnswerSchema = z.strictObject({
  delivered: z.boolean().describe("The receiver answered with 2xx."),
  ...trySchema.shape,
  webhook_id: z.string(),
});

const api = { at: "api", tag: "Webhooks" } as const;

export const webhooksRoutes: readonly RouteRule[] = [
  {
    ...api,
    id: "webhooks.list",
    method: "GET",
    path: "/jobs/:id/webhooks",
    access: "readonly",
    summary: "List a job's webhooks with each try",
    answers: { 200: { description: "In the order of the job's events.", schema: deliveriesSchema } },
  },
  {
    ...api,
    id: "webhooks.redeliver",
    method: "POST",
    path: "/jobs/:id/webhooks/:delivery/redeliver",
    access: "user",
    summary: "Send a webhook again",
    description: "Under the same webhook-id, with 24 hours to arrive.",
    answers: { 200: { description: "The delivery, which is pending now.", schema: deliverySchema } },
  },
  {
    ...api,
    id: "webhooks.test",
    method: "POST",
    path: "/webhooks/test",
    access: "user",
    summary: "Send a signed sample to a receiver",
    body: testBodySchema,
    answers: { 200: { description: "What came back.", schema: testAnswerSchema } },
  },
];

/** The rules of `/admin/queues`. */
import { z } from "zod";
import { PRIORITIES } from "../../src/jobs/types.ts";
import type { RouteRule } from "../route-rule.ts";

export const queueChoiceSchema = z.strictObject({
  priorities: z
    .array(z.enum(PRIORITIES))
    .min(1)
    .max(PRIORITIES.length)
    .default([...PRIORITIES])
    .describe("The classes; all when it is left out."),
});

const queuesSchema = z.strictObject({
  items: z.array(
    z.strictObject({
      priority: z.enum(PRIORITIES),
      ready: z.int().describe("Jobs that may run now."),
      delayed: z.int().describe("Jobs that wait for their time."),
      oldest_wait_seconds: z.number(),
      paused_at: z.iso.datetime().nullable(),
    }),
  ),
});

const admin = { at: "api", tag: "Administration", access: "admin" } as const;
const answers = { 200: { description: "The classes.", schema: queuesSchema } };

export const queuesRoutes: readonly RouteRule[] = [
  {
    ...admin,
    id: "admin.queues",
    method: "GET",
    path: "/admin/queues",
    summary: "The priority classes and their backlogs",
    answers,
  },
  {
    ...admin,
    id: "admin.queues.pause",
    method: "POST",
    path: "/admin/queues/pause",
    summary: "Stop taking jobs from priority classes",
    description: "Jobs are still accepted and wait; what runs goes on.",
    body: queueChoiceSchema,
    answers,
  },
  {
    ...admin,
    id: "admin.queues.resume",
    method: "POST",
    path: "/admin/queues/resume",
    summary: "Take jobs from priority classes again",
    body: queueChoiceSchema,
    answers,
  },
];

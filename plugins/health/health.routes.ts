/** The rules of `/health`. */
import { z } from "zod";
import type { RouteRule } from "../route-rule.ts";

export const healthSchema = z.strictObject({
  status: z.enum(["healthy", "degraded", "unhealthy"]),
  version: z.string(),
  checks: z.record(
    z.string(),
    z.strictObject({
      status: z.enum(["healthy", "degraded", "unhealthy"]),
      latency_ms: z.number(),
      note: z.string().nullable(),
    }),
  ),
});

export const liveSchema = z.strictObject({ status: z.literal("live"), version: z.string() });
export const readySchema = z.strictObject({ status: z.enum(["ready", "not_ready"]), reasons: z.array(z.string()) });

const health = { at: "both", tag: "System", access: "public", method: "GET" } as const;

export const healthRoutes: readonly RouteRule[] = [
  {
    ...health,
    id: "health",
    path: "/health",
    summary: "Whether everything works, and what does not",
    answers: {
      200: { description: "Healthy or degraded.", schema: healthSchema },
      503: { description: "Unhealthy.", schema: healthSchema },
    },
  },
  {
    ...health,
    id: "health.live",
    path: "/health/live",
    summary: "Whether the process turns",
    answers: { 200: { description: "It does.", schema: liveSchema } },
  },
  {
    ...health,
    id: "health.ready",
    path: "/health/ready",
    summary: "Whether it should get traffic",
    answers: {
      200: { description: "It should.", schema: readySchema },
      503: { description: "It should not, while it drains or migrates.", schema: readySchema },
    },
  },
];

/** The rule of `/tokens`. */
import { z } from "zod";
import type { RouteRule } from "../route-rule.ts";

const TTL_SECONDS_DEFAULT = 600;
const TTL_SECONDS_MAX = 3_600;

export const tokenBodySchema = z.strictObject({
  job_id: z.uuid().optional().describe("For this job alone; without it, for all of your jobs."),
  ttl_seconds: z.int().min(1).max(TTL_SECONDS_MAX).default(TTL_SECONDS_DEFAULT),
});

export const tokenAnswerSchema = z.strictObject({
  token: z.string().describe("Pass it as ?token= to events and sockets. It reads events and nothing else."),
  expires_at: z.iso.datetime(),
});

export const tokensRoutes: readonly RouteRule[] = [
  {
    at: "api",
    tag: "Events",
    id: "tokens.create",
    method: "POST",
    path: "/tokens",
    access: "readonly",
    summary: "Make a token with which a browser follows events",
    description:
      "Browsers cannot set headers on WebSocket and EventSource. The token stops working with the key it was made with.",
    body: tokenBodySchema,
    answers: { 201: { description: "The token, which is kept nowhere.", schema: tokenAnswerSchema } },
  },
];

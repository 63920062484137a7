/** The rule of `POST /stream`. */
import { streamBodySchema } from "../../src/jobs/stream.schema.ts";
import { convertQuerySchema, planSchema } from "../convert/convert.routes.ts";
import { jobSchema } from "../jobs/job.schema.ts";
import type { RouteRule } from "../route-rule.ts";

export const streamRoutes: readonly RouteRule[] = [
  {
    at: "api",
    tag: "Jobs",
    id: "stream.create",
    method: "POST",
    path: "/stream",
    access: "user",
    summary: "Package a file for adaptive players: HLS, DASH, or both from one set of segments",
    idempotent: true,
    query: convertQuerySchema,
    body: streamBodySchema,
    answers: {
      200: { description: "The plan (dry_run).", schema: planSchema },
      201: { description: "The job.", schema: jobSchema },
    },
  },
];

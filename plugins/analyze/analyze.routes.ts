/** The rule of `POST /analyze`. */
import { analyzeBodySchema } from "../../src/jobs/analyze.schema.ts";
import { convertQuerySchema, planSchema } from "../convert/convert.routes.ts";
import { jobSchema } from "../jobs/job.schema.ts";
import type { RouteRule } from "../route-rule.ts";

export const analyzeRoutes: readonly RouteRule[] = [
  {
    at: "api",
    tag: "Jobs",
    id: "analyze.create",
    method: "POST",
    path: "/analyze",
    access: "user",
    summary: "Measure a file, alone or against a reference; no media is written",
    idempotent: true,
    query: convertQuerySchema,
    body: analyzeBodySchema,
    answers: {
      200: { description: "The plan (dry_run).", schema: planSchema },
      201: { description: "The job; its results hold the figures.", schema: jobSchema },
    },
  },
];

/** The rule of `POST /estimate`. */
import { z } from "zod";
import { convertDocumentSchema } from "../../src/jobs/convert.schema.ts";
import type { RouteRule } from "../route-rule.ts";

const predicted = z.strictObject({
  value: z.number(),
  min: z.number(),
  max: z.number(),
  off_percent: z.number().describe("How far it may be off in either direction."),
});

export const estimateSchema = z.strictObject({
  seconds: predicted.describe("Of encoding; the job's metrics call it encode_seconds."),
  cpu_seconds: predicted.nullable(),
  bytes: predicted.describe("Of the output."),
  memory_bytes: predicted.nullable().describe("Resident memory of the largest process."),
  output_seconds: z.number().nullable(),
  samples: z.int(),
  sampled_seconds: z.number().describe("Of the film, that were encoded for it."),
  warnings: z.array(z.string()),
});

export const estimateRoutes: readonly RouteRule[] = [
  {
    at: "api",
    tag: "Jobs",
    id: "estimate.create",
    method: "POST",
    path: "/estimate",
    access: "user",
    summary: "What a conversion will take, from encodes of parts of its input",
    description:
      "Takes the body of POST /convert. Nothing is stored but the figures: a job of the same spec records in its metrics how far off they were.",
    body: convertDocumentSchema,
    answers: { 200: { description: "Time, size and memory, each with a band.", schema: estimateSchema } },
  },
];

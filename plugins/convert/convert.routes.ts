/** The rule of `POST /convert`. */
import { z } from "zod";
import { convertDocumentSchema } from "../../src/jobs/convert.schema.ts";
import { jobSchema } from "../jobs/job.schema.ts";
import { booleanQuery } from "../query.ts";
import type { RouteRule } from "../route-rule.ts";

export const convertQuerySchema = z.strictObject({
  dry_run: booleanQuery.describe("Answers 200 with the plan; nothing is stored."),
});

const planStep = z.strictObject({
  id: z.string(),
  argv: z.array(z.string()).describe("FFmpeg's arguments; paths are relative to the job's folder."),
  filter_graph: z.string().nullable(),
  duration_seconds: z.number().nullable(),
  threads: z.int(),
  memory_bytes_max: z.number(),
  writes: z.array(z.string()),
});

/** The plan as people read it: every command with symbolic paths. */
export const planSchema = z.strictObject({
  files: z
    .array(
      z.strictObject({
        file: z.string(),
        text: z.string().optional(),
        asset: z.string().optional(),
        captions: z.unknown().optional(),
      }),
    )
    .describe("What is put into the job's folder first: texts to draw, captions written anew, a font."),
  steps: z.array(planStep),
  outputs: z.array(
    z.strictObject({
      role: z.string(),
      uri: z.string(),
      media_type: z.string(),
      expect: z.unknown().describe("What verification holds the output to."),
    }),
  ),
  transfers: z
    .array(
      z.strictObject({
        file: z.string(),
        mode: z.enum(["in_place", "streamed", "downloaded"]),
        reason: z.string().describe("Why so; it ends a sentence about the input."),
      }),
    )
    .describe("How each input reaches FFmpeg: where it lies, through a pipe while it is fetched, or fetched first."),
  package: z.unknown().describe("Of a packaging job: its ladder, segments and entries; null otherwise."),
  search: z
    .strictObject({
      target: z.unknown(),
      crf: z.unknown().describe("Where it is looked for, and where first."),
      samples: z.array(
        z.strictObject({ start_seconds: z.number(), duration_seconds: z.number(), steps: z.array(planStep) }),
      ),
    })
    .nullable()
    .describe("How options.target finds its crf, which is <search/crf> in every argv until then."),
  copies_only: z.boolean().describe("No stream is re-encoded."),
  work_bytes_max: z.number().describe("Upper estimate of the temporary space."),
  warnings: z.array(z.string()),
});

export const convertRoutes: readonly RouteRule[] = [
  {
    at: "api",
    tag: "Jobs",
    id: "convert.create",
    method: "POST",
    path: "/convert",
    access: "user",
    summary: "Convert a file",
    idempotent: true,
    query: convertQuerySchema,
    body: convertDocumentSchema,
    answers: {
      200: { description: "The plan (dry_run).", schema: planSchema },
      201: { description: "The job.", schema: jobSchema },
    },
  },
];

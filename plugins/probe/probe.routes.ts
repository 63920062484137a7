/** The rule of `POST /probe`. */
import { z } from "zod";
import type { RouteRule } from "../route-rule.ts";

export const probeBodySchema = z.strictObject({
  input: z.string().min(1).max(4_096).optional().describe("A storage URI, or a path in the default storage."),
  input_path: z.string().min(1).max(4_096).optional().describe("Alias of input."),
});

export const probeAnswerSchema = z.looseObject({ container: z.string() });

export const probeRoutes: readonly RouteRule[] = [
  {
    at: "api",
    tag: "Media",
    id: "probe",
    method: "POST",
    path: "/probe",
    access: "user",
    summary: "What ffprobe says of a file, normalised",
    body: probeBodySchema,
    answers: { 200: { description: "The file's container, streams and tags.", schema: probeAnswerSchema } },
  },
];

/**
 * The body of `POST /analyze`. It becomes a spec whose one operation is `analyze` and whose output is the report, so that
 * everything that runs, retries and shows jobs knows one shape of spec.
 */
import { z } from "zod";
import { analyzeFields } from "../media/operations/analyze.schema.ts";
import { invalidRequest, parseRequest } from "../validation/parse.ts";
import { webhookRequest } from "../webhooks/webhook.schema.ts";
import { type ConvertRequest, commonBodyFields } from "./convert.schema.ts";

const { input_path, input, output_path, output, priority, webhook_url, webhook_events, metadata } = commonBodyFields;

export const analyzeBodySchema = z.strictObject({
  distorted_path: input_path.describe("What to measure."),
  input_path: input_path.describe("Alias of distorted_path."),
  input: input.describe("Alias of distorted_path."),
  reference_path: input_path.describe("What to compare with; vmaf, psnr, ssim and ms_ssim need it."),
  reference: input_path.describe("Alias of reference_path."),
  output_path: output_path.describe(
    "Where the report with the figures of each frame lies; default: a name of our own.",
  ),
  output: output.describe("Alias of output_path."),
  ...analyzeFields,
  ...{ priority, webhook_url, webhook_events, metadata },
});

type Named = readonly (readonly [name: string, value: string | undefined])[];

function sameOf(names: Named): string | undefined {
  const [first, ...rest] = names.filter(([, value]) => value !== undefined);
  for (const [name, value] of rest) {
    if (value !== first?.[1])
      throw invalidRequest([{ path: name, message: `is another name of ${first?.[0] ?? ""}; give one of them` }]);
  }
  return first?.[1];
}

/** Throws `request.invalid`. */
export function parseAnalyzeBody(value: unknown): ConvertRequest {
  const body = parseRequest(analyzeBodySchema, value);
  const distorted = sameOf([
    ["distorted_path", body.distorted_path],
    ["input_path", body.input_path],
    ["input", body.input],
  ]);
  const reference = sameOf([
    ["reference_path", body.reference_path],
    ["reference", body.reference],
  ]);
  const output = sameOf([
    ["output_path", body.output_path],
    ["output", body.output],
  ]);
  if (distorted === undefined) throw invalidRequest([{ path: "distorted_path", message: "is required" }]);
  const { metrics, vmaf_model, subsample } = body;
  const operation = {
    type: "analyze",
    ...(reference === undefined ? {} : { reference }),
    metrics,
    vmaf_model,
    subsample,
  };
  return {
    spec: {
      inputs: [distorted],
      output: output ?? `analysis-${Bun.randomUUIDv7()}.json`,
      operations: [operation],
      options: {},
    },
    priority: body.priority ?? "normal",
    metadata: body.metadata,
    webhook: webhookRequest(body),
  };
}

/**
 * The body of `POST /stream`. It becomes the spec of a conversion whose one operation is `stream`, so that everything that
 * runs, retries and shows jobs knows one shape of spec.
 */
import { z } from "zod";
import type { ErrorDetail } from "../errors.ts";
import { streamFields } from "../media/operations/stream.schema.ts";
import { invalidRequest, parseRequest } from "../validation/parse.ts";
import { webhookRequest } from "../webhooks/webhook.schema.ts";
import { type ConvertRequest, commonBodyFields, oneOf, refuseMissing } from "./convert.schema.ts";

/** Where the documented nested form may put what describes the package. */
const nestedFields = {
  format: streamFields.format.removeDefault().optional(),
  segment_duration: streamFields.segment_duration.removeDefault().optional(),
  variants: streamFields.variants,
};

export const streamBodySchema = z.strictObject({
  ...commonBodyFields,
  ...streamFields,
  ...nestedFields,
  type: nestedFields.format.describe("Another name of format."),
  options: commonBodyFields.options.removeDefault().extend(nestedFields).default({}),
});

type Body = z.output<typeof streamBodySchema>;

/** One thing under several names: at most one of them, or all the same. */
function only<Value>(found: readonly (readonly [path: string, value: Value | undefined])[], details: ErrorDetail[]) {
  const given = found.filter(([, value]) => value !== undefined);
  const [first, ...rest] = given;
  for (const [path, value] of rest) {
    if (JSON.stringify(value) === JSON.stringify(first?.[1])) continue;
    details.push({ path, message: `says otherwise than ${first?.[0] ?? ""}; give one of them` });
  }
  return first?.[1];
}

function described(body: Body, details: ErrorDetail[]) {
  const { options } = body;
  const format = only(
    [
      ["format", body.format],
      ["type", body.type],
      ["options.format", options.format],
    ],
    details,
  );
  const seconds = only(
    [
      ["segment_duration", body.segment_duration],
      ["options.segment_duration", options.segment_duration],
    ],
    details,
  );
  const variants = only(
    [
      ["variants", body.variants],
      ["options.variants", options.variants],
    ],
    details,
  );
  return { format, segment_duration: seconds, variants };
}

/** Throws `request.invalid` or `request.unsupported`. */
export function parseStreamBody(value: unknown): ConvertRequest {
  const body = parseRequest(streamBodySchema, value);
  refuseMissing(body, false);
  const details: ErrorDetail[] = [];
  const input = oneOf<string>(body, "input_path", "input", details);
  const output = oneOf<string>(body, "output_path", "output", details);
  const { format: _f, segment_duration: _s, variants: _n, priority: inner, ...others } = body.options;
  const { preset: _p, verify: _v, target: _t, reuse: _r, ...options } = others;
  const shape = described(body, details);
  if (body.priority !== undefined && inner !== undefined && body.priority !== inner)
    details.push({ path: "options.priority", message: "says otherwise than priority; give one of them" });
  if (input === undefined || output === undefined || details.length > 0) throw invalidRequest(details);
  const { audio, container, encryption, key_uri, captions, thumbnails } = body;
  const operation = { type: "stream", ...shape, audio, container, encryption, key_uri, captions, thumbnails };
  return {
    // What was left out stays out: a default of a later version is then that version's.
    spec: { inputs: [input], output: output.replace(/\/+$/, ""), operations: [withoutUndefined(operation)], options },
    priority: body.priority ?? inner ?? "normal",
    metadata: body.metadata,
    webhook: webhookRequest(body),
  };
}

const withoutUndefined = (value: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined));

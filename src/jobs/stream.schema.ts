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
function only(found: readonly (readonly [path: string, value: unknown])[], details: ErrorDetail[]): void {
  const given = found.filter(([, value]) => value !== undefined);
  const [first, ...rest] = given;
  for (const [path, value] of rest) {
    if (JSON.stringify(value) === JSON.stringify(first?.[1])) continue;
    details.push({ path, message: `says otherwise than ${first?.[0] ?? ""}; give one of them` });
  }
}

/** What several names say of the package, they say alike. */
function described(body: Body, details: ErrorDetail[]): void {
  const { options } = body;
  only(
    [
      ["format", body.format],
      ["type", body.type],
      ["options.format", options.format],
    ],
    details,
  );
  only(
    [
      ["segment_duration", body.segment_duration],
      ["options.segment_duration", options.segment_duration],
    ],
    details,
  );
  only(
    [
      ["variants", body.variants],
      ["options.variants", options.variants],
    ],
    details,
  );
}

/** Throws `request.invalid` or `request.unsupported`. */
export function parseStreamBody(value: unknown): ConvertRequest {
  const body = parseRequest(streamBodySchema, value);
  refuseMissing(body, ["preset", "verify", "target"]);
  const details: ErrorDetail[] = [];
  const input = oneOf<string>(body, "input_path", "input", details);
  const output = oneOf<string>(body, "output_path", "output", details);
  const { format: _f, segment_duration: _s, variants: _n, priority: inner, ...others } = body.options;
  const { preset: _p, verify: _v, target: _t, ...options } = others;
  described(body, details);
  if (body.priority !== undefined && inner !== undefined && body.priority !== inner)
    details.push({ path: "options.priority", message: "says otherwise than priority; give one of them" });
  if (input === undefined || output === undefined || details.length > 0) throw invalidRequest(details);
  return {
    spec: { inputs: [input], output: output.replace(/\/+$/, ""), operations: [asWritten(value)], options },
    priority: body.priority ?? inner ?? "normal",
    metadata: body.metadata,
    webhook: webhookRequest(body),
  };
}

type Json = Readonly<Record<string, unknown>>;

/** The operation in the client's own words: a spec is parsed again where it is used, and what was left out stays out. */
function asWritten(value: unknown): Json {
  const body = value as Json;
  const options = (body.options ?? {}) as Json;
  const { audio, container, encryption, key_uri, captions, thumbnails } = body;
  const operation = {
    type: "stream",
    format: body.format ?? body.type ?? options.format,
    segment_duration: body.segment_duration ?? options.segment_duration,
    variants: body.variants ?? options.variants,
    ...{ audio, container, encryption, key_uri, captions, thumbnails },
  };
  return Object.fromEntries(Object.entries(operation).filter(([, one]) => one !== undefined));
}

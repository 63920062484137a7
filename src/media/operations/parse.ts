/**
 * From a client's `operations` to typed values.
 *
 * An operation's parameters stand beside `type` or under `params`; paths in details are as the client wrote them. What a
 * later version will do is known by name here and refused as unsupported, never taken and ignored.
 */
import type { z } from "zod";
import { type ErrorDetail, RendiffError } from "../../errors.ts";
import { nearestName } from "../../validation/nearest.ts";
import { DETAILS_MAX, formatPath, invalidRequest, quoteForMessage, unknownField } from "../../validation/parse.ts";
import { type Analyze, analyzeSchema } from "./analyze.schema.ts";
import { type Audio, audioSchema } from "./audio.schema.ts";
import { type Concat, concatSchema } from "./concat.schema.ts";
import { type FilterOperation, filterSchema } from "./filter.schema.ts";
import {
  type Crop,
  cropSchema,
  type Flip,
  flipSchema,
  type Pad,
  padSchema,
  type Rotate,
  rotateSchema,
  type Scale,
  scaleSchema,
} from "./picture.schema.ts";
import { type Preview, previewSchema } from "./preview.schema.ts";
import { type Raw, rawSchema } from "./raw.schema.ts";
import { type StreamOperation, streamSchema } from "./stream.schema.ts";
import { type Subtitle, subtitleSchema } from "./subtitle.schema.ts";
import { type Text, textSchema } from "./text.schema.ts";
import { type Thumbnail, thumbnailSchema } from "./thumbnail.schema.ts";
import { type Transcode, transcodeSchema } from "./transcode.schema.ts";
import { type Trim, trimSchema } from "./trim.schema.ts";
import { type Watermark, watermarkSchema } from "./watermark.schema.ts";
import { type Waveform, waveformSchema } from "./waveform.schema.ts";

/** One schema per operation that is built, for validation and for OpenAPI. */
export const operationSchemas = {
  transcode: transcodeSchema,
  trim: trimSchema,
  scale: scaleSchema,
  crop: cropSchema,
  pad: padSchema,
  rotate: rotateSchema,
  flip: flipSchema,
  filter: filterSchema,
  audio: audioSchema,
  thumbnail: thumbnailSchema,
  watermark: watermarkSchema,
  preview: previewSchema,
  waveform: waveformSchema,
  text: textSchema,
  subtitle: subtitleSchema,
  concat: concatSchema,
  raw: rawSchema,
  stream: streamSchema,
  analyze: analyzeSchema,
} as const;

export type OperationType = keyof typeof operationSchemas;
export type Operation =
  | Transcode
  | Trim
  | Scale
  | Crop
  | Pad
  | Rotate
  | Flip
  | FilterOperation
  | Audio
  | Thumbnail
  | Watermark
  | Preview
  | Waveform
  | Text
  | Subtitle
  | Concat
  | Raw
  | StreamOperation
  | Analyze;

export const OPERATION_TYPES = Object.keys(operationSchemas) as readonly OperationType[];

export type ParsedOperations =
  | { readonly ok: true; readonly operations: readonly Operation[] }
  | { readonly ok: false; readonly kind: "request.invalid" | "request.unsupported"; readonly details: ErrorDetail[] };

interface Found {
  readonly invalid: ErrorDetail[];
  readonly unsupported: ErrorDetail[];
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isBuilt = (type: string): type is OperationType => Object.hasOwn(operationSchemas, type);

/** `params` merged in; null when that cannot be done. */
function flatten(
  value: unknown,
  index: number,
  found: Found,
): { flat: Record<string, unknown>; nested: Set<string> } | null {
  const path = ["operations", index];
  if (!isRecord(value)) {
    found.invalid.push({ path: formatPath(path), message: "must be an object with a type" });
    return null;
  }
  const { params, ...flat } = value;
  if (params === undefined || params === null) return { flat, nested: new Set() };
  if (!isRecord(params)) {
    found.invalid.push({ path: formatPath([...path, "params"]), message: "must be an object" });
    return null;
  }
  for (const name of Object.keys(params)) {
    if (!Object.hasOwn(flat, name)) continue;
    found.invalid.push({
      path: formatPath([...path, "params", name]),
      message: `is given twice; ${name} stands beside params too`,
    });
    return null;
  }
  return { flat: { ...flat, ...params }, nested: new Set(Object.keys(params)) };
}

function refuseType(type: unknown, index: number, found: Found): void {
  const path = formatPath(["operations", index, "type"]);
  if (typeof type !== "string") {
    found.invalid.push({ path, message: `must be one of ${OPERATION_TYPES.join(", ")}` });
    return;
  }
  const near = nearestName(type, OPERATION_TYPES);
  const hint = near === null ? `use one of ${OPERATION_TYPES.join(", ")}` : `did you mean ${near}?`;
  found.invalid.push({ path, message: `there is no operation ${quoteForMessage(type)}; ${hint}` });
}

function parseOne(value: unknown, index: number, found: Found): Operation | null {
  const flattened = flatten(value, index, found);
  if (flattened === null) return null;
  const { flat, nested } = flattened;
  const { type } = flat;
  if (typeof type !== "string" || !isBuilt(type)) {
    refuseType(type, index, found);
    return null;
  }
  const full = (path: readonly PropertyKey[]): PropertyKey[] => {
    const under = path[0] !== undefined && nested.has(String(path[0])) ? ["params"] : [];
    return ["operations", index, ...under, ...path];
  };
  const schema: z.ZodType<Operation> = operationSchemas[type];
  const result = schema.safeParse(flat);
  if (result.success) return result.data;
  const known = Object.keys(operationSchemas[type].shape).filter((name) => name !== "type");
  for (const issue of result.error.issues) {
    if (issue.code !== "unrecognized_keys") {
      found.invalid.push({ path: formatPath(full(issue.path)), message: issue.message });
      continue;
    }
    for (const name of issue.keys.slice(0, DETAILS_MAX)) {
      const [head, ...rest] = full([name]).slice(0, -1);
      found.invalid.push(unknownField([head ?? "operations", ...rest], name, known));
    }
  }
  return null;
}

/** Parses without throwing. `unsupported` only when nothing else is wrong. */
export function tryParseOperations(input: readonly unknown[]): ParsedOperations {
  const found: Found = { invalid: [], unsupported: [] };
  const operations: Operation[] = [];
  for (const [index, value] of input.entries()) {
    const operation = parseOne(value, index, found);
    if (operation !== null) operations.push(operation);
    // No more would be shown.
    if (found.invalid.length >= DETAILS_MAX) break;
  }
  if (found.invalid.length > 0)
    return { ok: false, kind: "request.invalid", details: [...found.invalid, ...found.unsupported] };
  if (found.unsupported.length > 0) return { ok: false, kind: "request.unsupported", details: found.unsupported };
  return { ok: true, operations };
}

/** One sentence for what this version or this deployment cannot do. */
export function unsupportedRequest(details: readonly ErrorDetail[]): RendiffError {
  const [first] = details;
  return new RendiffError({
    kind: "request.unsupported",
    publicMessage: `This was asked for and cannot be done here: ${first?.path ?? ""}: ${first?.message ?? ""}.`,
    details: details.slice(0, 20),
  });
}

/** Throws `request.invalid` or `request.unsupported` with every problem as a detail. */
export function parseOperations(input: readonly unknown[]): readonly Operation[] {
  const parsed = tryParseOperations(input);
  if (parsed.ok) return parsed.operations;
  throw parsed.kind === "request.invalid" ? invalidRequest(parsed.details) : unsupportedRequest(parsed.details);
}

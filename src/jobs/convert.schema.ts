/**
 * The body of `POST /convert`, and the spec that is stored of it.
 *
 * Both are what the client wrote, with aliases resolved: the spec is immutable and outlives the program that stored it,
 * so it is parsed again (`parseOperations`) where it is used.
 */
import { z } from "zod";
import { type ErrorDetail, RendiffError } from "../errors.ts";
import { type ConvertOptions, optionsSchema } from "../media/operations/options.schema.ts";
import { operationSchemas } from "../media/operations/parse.ts";
import {
  applyPreset,
  type Preset,
  type PresetReference,
  parsePresetReference,
  printPresetReference,
} from "../media/presets/apply.ts";
import { builtInPreset } from "../media/presets/built-in.ts";
import { invalidRequest, parseRequest, quoteForMessage } from "../validation/parse.ts";
import { type WebhookRequest, webhookFields, webhookRequest } from "../webhooks/webhook.schema.ts";
import { PRIORITIES, type Priority } from "./types.ts";

const URI_LENGTH_MAX = 4_096;
const METADATA_BYTES_MAX = 16 * 1_024;
const METADATA_ENTRIES_MAX = 64;
const METADATA_NAME_LENGTH_MAX = 128;
/** Above MAX_OPERATIONS in any deployment; the deployment's own limit is checked after parsing. */
const OPERATIONS_MAX = 1_000;

const uri = z
  .string()
  .min(1, "must not be empty")
  .max(URI_LENGTH_MAX, `must have at most ${URI_LENGTH_MAX} characters`);

export const clientMetadata = z
  .record(z.string().min(1).max(METADATA_NAME_LENGTH_MAX), z.unknown())
  .refine(
    (value) => Object.keys(value).length <= METADATA_ENTRIES_MAX,
    `must have at most ${METADATA_ENTRIES_MAX} entries`,
  )
  .refine(
    (value) => Buffer.byteLength(JSON.stringify(value)) <= METADATA_BYTES_MAX,
    `must be at most ${METADATA_BYTES_MAX} bytes of JSON`,
  );

/** Their fields are `parseOperations`'s to check: it knows what each type takes. */
const operation = z.record(z.string(), z.unknown(), "must be an object with a type");

/** `operations` as it is documented: one shape per type. */
const documentedOperation = z.union(Object.values(operationSchemas));

/** What every body that creates a job has. */
export const commonBodyFields = {
  input_path: uri.optional().describe("What to convert: a storage URI, or a path in the default storage."),
  input: uri.optional().describe("Alias of input_path."),
  output_path: uri.optional().describe("Where to write: never the input itself."),
  output: uri.optional().describe("Alias of output_path."),
  options: optionsSchema.default({}),
  priority: z.enum(PRIORITIES).optional(),
  ...webhookFields,
  metadata: clientMetadata.default({}).describe("Your own, searchable in the list of jobs."),
};

export const operationsField = z.array(operation).max(OPERATIONS_MAX).default([]);

export const convertBodySchema = z.strictObject({
  ...commonBodyFields,
  operations: operationsField,
});

/** For OpenAPI alone. */
export const convertDocumentSchema = convertBodySchema.extend({
  operations: z
    .array(documentedOperation)
    .max(OPERATIONS_MAX)
    .default([])
    .describe("In order. Parameters stand beside type or under params."),
});

/** What `jobs.spec` holds for a job of type convert. */
export interface ConvertSpec {
  /** Storage URIs; the first is the one to convert. */
  readonly inputs: readonly string[];
  readonly output: string;
  /** As the client wrote them, checked. */
  readonly operations: readonly Readonly<Record<string, unknown>>[];
  readonly options: ConvertOptions;
}

export interface ConvertRequest {
  readonly spec: ConvertSpec;
  readonly priority: Priority;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly webhook: WebhookRequest | null;
}

/** Of any body that creates a job. */
type Body = Omit<z.output<typeof convertBodySchema>, "operations">;

/** Asked for but not built: named, never accepted and ignored. Null and absent ask for nothing. */
export function refuseMissing(body: Body, names: readonly (keyof Body["options"] & string)[]): void {
  const details: ErrorDetail[] = [];
  for (const name of names) {
    const path = `options.${name}`;
    if (body.options[name] != null) details.push({ path, message: `${path} is not built yet` });
  }
  const [first] = details;
  if (first === undefined) return;
  throw new RendiffError({
    kind: "request.unsupported",
    publicMessage: `This version of Rendiff does not take ${details.map(({ path }) => path).join(", ")} yet.`,
    details,
  });
}

/** One of two names for a thing: required, and not both unless they say the same. */
export function oneOf<Value>(
  body: Body,
  name: keyof Body & string,
  alias: keyof Body & string,
  details: ErrorDetail[],
) {
  const value = body[name] ?? body[alias];
  if (value === undefined) details.push({ path: name, message: "is required" });
  if (body[name] !== undefined && body[alias] !== undefined && body[name] !== body[alias]) {
    details.push({ path: alias, message: `is another name of ${name}; give one of them` });
  }
  return value as Value | undefined;
}

export type FindPreset = (reference: PresetReference) => Preset | null;

/** `value` with its preset merged in; unchanged when it names none. Throws `request.invalid`. */
function withPreset(body: z.output<typeof convertBodySchema>, find: FindPreset): z.output<typeof convertBodySchema> {
  const { preset: reference, ...own } = body.options;
  if (reference === undefined) return body;
  const wanted = parsePresetReference(reference);
  const preset = wanted === null ? null : find(wanted);
  if (wanted === null || preset === null) {
    throw invalidRequest([{ path: "options.preset", message: `there is no preset ${quoteForMessage(reference)}` }]);
  }
  if (wanted.version !== null && wanted.version !== preset.version) {
    const message = `is version ${wanted.version} of ${preset.name}, which is at version ${preset.version}`;
    throw invalidRequest([{ path: "options.preset", message }]);
  }
  const { operations, options } = applyPreset({ operations: body.operations, options: own }, preset);
  const merged = parseRequest(convertBodySchema, { ...body, operations, options });
  return { ...merged, options: { ...merged.options, preset: printPresetReference(preset) } };
}

export const findBuiltIn: FindPreset = ({ name }) => builtInPreset(name);

/** Throws `request.invalid` or `request.unsupported`; what depends on the deployment is `submitConvert`'s to check. */
export function parseConvertBody(value: unknown, findPreset: FindPreset = findBuiltIn): ConvertRequest {
  const body = withPreset(parseRequest(convertBodySchema, value), findPreset);
  const details: ErrorDetail[] = [];
  const input = oneOf<string>(body, "input_path", "input", details);
  const output = oneOf<string>(body, "output_path", "output", details);
  const { priority: optionsPriority, ...options } = body.options;
  if (body.priority !== undefined && optionsPriority !== undefined && body.priority !== optionsPriority) {
    details.push({ path: "options.priority", message: "says otherwise than priority; give one of them" });
  }
  if (input === undefined || output === undefined || details.length > 0) throw invalidRequest(details);
  return {
    spec: { inputs: [input], output, operations: body.operations, options },
    priority: body.priority ?? optionsPriority ?? "normal",
    metadata: body.metadata,
    webhook: webhookRequest(body),
  };
}

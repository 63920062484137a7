/**
 * From a client's body to a queued job: everything that can be known without looking at the input is checked here, so
 * that what cannot work is refused by name when it is asked for.
 */
import type { Config } from "../config/config.ts";
import type { Sql, SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { checkOperations } from "../media/operations/check.ts";
import { type Operation, parseOperations } from "../media/operations/parse.ts";
import { referencesOf } from "../media/operations/references.ts";
import type { Capabilities } from "../media/types.ts";
import type { UrlGuard } from "../security/outbound/url-guard.ts";
import { type Principal, requireOperation, requireReadable, requireWritable } from "../security/principal.ts";
import type { ObjectRef, StorageRegistry } from "../storage/port.ts";
import { parseStorageUri, type StorageUri } from "../storage/uri.ts";
import { invalidRequest } from "../validation/parse.ts";
import { checkWebhook } from "../webhooks/webhook.schema.ts";
import { parseAnalyzeBody } from "./analyze.schema.ts";
import { type AnnounceDeps, announceJob } from "./announce.ts";
import { type ConvertRequest, type ConvertSpec, type FindPreset, parseConvertBody } from "./convert.schema.ts";
import type { InsertTogether } from "./insert-together.ts";
import { type Kind, unfitKinds } from "./kinds.ts";
import { presetFinder } from "./preset-store.ts";
import { requireQuota } from "./quota.ts";
import { requireReusable } from "./reuse.ts";
import { insertJob, type NewJob } from "./store.ts";
import { parseStreamBody } from "./stream.schema.ts";
import type { Job, JobId } from "./types.ts";
import { requireUploads } from "./uploads.ts";

export interface CheckDeps {
  /** The kinds of workers that are known; absent: there is one. */
  kinds?(): readonly Kind[];
  readonly config: Pick<Config, "limits">;
  readonly storage: StorageRegistry;
  readonly urlGuard: UrlGuard;
  capabilities(): Capabilities | null;
}

export interface SubmitDeps extends CheckDeps, AnnounceDeps {
  readonly sql: Sql;
  readonly insertTogether: InsertTogether;
}

export interface ProbeBody {
  readonly input?: string | undefined;
  readonly input_path?: string | undefined;
}

export interface SubmitOptions {
  /** What the address of a content key begins with. */
  readonly keyBase: string;
  readonly requestId: string;
  /** Of the request; null without a trace. */
  readonly traceparent: string | null;
  /** Runs in the transaction that creates the job; when it rejects, there is no job. */
  readonly onCreated: ((tx: SqlRunner, job: Job) => Promise<void>) | null;
}

interface Place {
  readonly path: string;
  readonly ref: StorageUri;
}

/** The place a client's URI names, which must be one of this deployment's backends. */
function resolve(deps: CheckDeps, uri: string, path: string): Place {
  try {
    const ref = parseStorageUri(uri, { backends: deps.storage.names });
    deps.storage.backend(ref.backend).checkKey?.(ref.key);
    return { path, ref };
  } catch (error) {
    if (!(error instanceof RendiffError)) throw error;
    throw new RendiffError({
      kind: error.kind,
      publicMessage: error.publicMessage,
      details: [{ path, message: error.publicMessage }],
      cause: error,
    });
  }
}

function requireReadableBackend(deps: CheckDeps, { ref, path }: Place): void {
  if (deps.storage.backend(ref.backend).properties.readable) return;
  const message = `the storage ${ref.backend} is not to be read from`;
  throw new RendiffError({
    kind: "request.unsupported",
    publicMessage: `The input cannot lie there: ${message}.`,
    details: [{ path, message }],
  });
}

function requireWritableBackend(deps: CheckDeps, { ref, path }: Place): void {
  if (deps.storage.backend(ref.backend).properties.writable) return;
  const message = `the storage ${ref.backend} cannot be written to`;
  throw new RendiffError({
    kind: "request.unsupported",
    publicMessage: `The output cannot lie there: ${message}.`,
    details: [{ path, message }],
  });
}

/** Where an operation's further output would lie: beside the output. */
function siblings(spec: ConvertSpec, output: Place): Place[] {
  const folder = output.ref.key.slice(0, output.ref.key.lastIndexOf("/") + 1);
  return spec.operations.flatMap(({ output: name }, index) =>
    typeof name === "string"
      ? [{ path: `operations[${index}].output`, ref: { ...output.ref, key: folder + name } }]
      : [],
  );
}

function requireDifferent(inputs: readonly Place[], outputs: readonly Place[]): void {
  for (const { path, ref } of outputs) {
    const same = inputs.find((input) => input.ref.backend === ref.backend && input.ref.key === ref.key);
    if (same === undefined) continue;
    const what = same === inputs[0] ? "the input itself" : `what ${same.path} reads`;
    throw invalidRequest([{ path, message: `is ${what}; an output must be another object` }]);
  }
}

interface Conversion {
  readonly spec: ConvertSpec;
  readonly operations: readonly Operation[];
  readonly output: Place;
}

function requireOperations(deps: CheckDeps, principal: Principal, { spec, operations, output }: Conversion): void {
  operations.forEach(({ type }, index) => {
    requireOperation(principal, type, `operations[${index}].type`);
  });
  checkOperations({
    operations,
    options: spec.options,
    outputName: output.ref.key,
    // Null until a worker has said what it can do: nothing is refused for that, and the job's plan is checked anyway.
    capabilities: deps.capabilities(),
    limits: deps.config.limits,
  });
}

/** Each is opened, probed and held open by FFmpeg. */
const INPUTS_MAX = 100;

function requireInputCount(count: number): void {
  if (count <= INPUTS_MAX) return;
  throw invalidRequest([{ path: "operations", message: `name ${count - 1} further inputs; at most 99 are allowed` }]);
}

/** Where the server serves keys, for packages whose key it keeps; no client says so itself. */
function withKeyBase(request: ConvertRequest, keyBase: string): ConvertRequest {
  const operations = request.spec.operations.map((operation, index) => {
    if (operation.type !== "stream") return operation;
    const params = operation.params as Readonly<Record<string, unknown>> | null | undefined;
    if (operation.key_base !== undefined || params?.key_base !== undefined)
      throw invalidRequest([{ path: `operations[${index}].key_base`, message: "is not a known field" }]);
    return { ...operation, key_base: keyBase };
  });
  return { ...request, spec: { ...request.spec, operations } };
}

/** Checks a body for a caller, without storing anything. Throws `request.*` or `auth.forbidden`. */
export function checkConvert(
  deps: CheckDeps,
  principal: Principal,
  body: unknown,
  keyBase: string,
  findPreset: FindPreset,
): ConvertRequest {
  const request = parseConvertBody(body, findPreset);
  const analysis = request.spec.operations.findIndex(({ type }) => type === "analyze");
  if (analysis >= 0)
    throw invalidRequest([{ path: `operations[${analysis}].type`, message: "is a job of its own: POST /analyze" }]);
  return checkRequest(deps, principal, withKeyBase(request, keyBase));
}

/** The same of `POST /stream`: its problems are named as its body names things. */
export function checkStream(deps: CheckDeps, principal: Principal, body: unknown, keyBase: string): ConvertRequest {
  return checkFlat(deps, principal, withKeyBase(parseStreamBody(body), keyBase));
}

/** The same of `POST /analyze`. */
export function checkAnalyze(deps: CheckDeps, principal: Principal, body: unknown): ConvertRequest {
  return checkFlat(deps, principal, parseAnalyzeBody(body));
}

/** Of a body that is one operation: problems are named as the body names things. */
function checkFlat(deps: CheckDeps, principal: Principal, request: ConvertRequest): ConvertRequest {
  try {
    return checkRequest(deps, principal, request);
  } catch (error) {
    if (!(error instanceof RendiffError)) throw error;
    const flat = (text: string): string => text.replaceAll("operations[0].", "");
    throw new RendiffError({
      kind: error.kind,
      publicMessage: flat(error.publicMessage),
      details: error.details.map(({ path, message }) => ({ path: flat(path), message: flat(message) })),
      cause: error,
    });
  }
}

/** By the type of job: how its body is checked. */
export const CHECKS = { convert: checkConvert, stream: checkStream, analyze: checkAnalyze } as const;

/** A body as `submitJob` checks it, with the caller's own presets. */
export async function checkJob(
  deps: SubmitDeps,
  principal: Principal,
  type: keyof typeof CHECKS,
  { body, keyBase }: { readonly body: unknown; readonly keyBase: string },
): Promise<ConvertRequest> {
  const { sql } = deps;
  const request = CHECKS[type](deps, principal, body, keyBase, await presetFinder(sql, principal.keyId, [body]));
  await requireUploads(sql, principal.keyId, request.spec.inputs);
  return request;
}

function requirePlaces(deps: CheckDeps, principal: Principal, inputs: readonly Place[], output: Place): void {
  for (const input of inputs) {
    requireReadable(principal, input.ref.backend, input.path);
    requireReadableBackend(deps, input);
  }
  requireWritable(principal, output.ref.backend, output.path);
  requireWritableBackend(deps, output);
}

/** A stored spec that is to run again: what its key may do can have changed since. Throws `request.*` or `auth.forbidden`. */
export function checkAgain(deps: CheckDeps, principal: Principal, { inputs, output, operations }: ConvertSpec): void {
  const places = inputs.map((uri) => resolve(deps, uri, "input_path"));
  requirePlaces(deps, principal, places, resolve(deps, output, "output_path"));
  for (const [index, { type }] of operations.entries()) {
    requireOperation(principal, String(type), `operations[${index}].type`);
  }
}

function checkRequest(deps: CheckDeps, principal: Principal, request: ConvertRequest): ConvertRequest {
  const operations = parseOperations(request.spec.operations);
  const inputs = [
    ...request.spec.inputs.map((uri) => resolve(deps, uri, "input_path")),
    ...referencesOf(operations).map(({ uri, path }) => resolve(deps, uri, path)),
  ];
  requireInputCount(inputs.length);
  requireReusable(operations, request.spec.options);
  const output = resolve(deps, request.spec.output, "output_path");
  requirePlaces(deps, principal, inputs, output);
  requireDifferent(inputs, [output, ...siblings(request.spec, output)]);
  requireOperations(deps, principal, { spec: request.spec, operations, output });
  const webhook = checkWebhook(deps.urlGuard, request.webhook);
  // The stored URIs name their places whatever the default backend will be later.
  return {
    ...request,
    spec: { ...request.spec, inputs: inputs.map(({ ref }) => ref.uri), output: output.ref.uri },
    webhook,
  };
}

/** The place that a probe may read. */
export async function checkProbe(
  deps: CheckDeps & Pick<SubmitDeps, "sql">,
  principal: Principal,
  body: ProbeBody,
): Promise<ObjectRef> {
  if (body.input !== undefined && body.input_path !== undefined && body.input !== body.input_path) {
    throw invalidRequest([{ path: "input_path", message: "is another name of input; give one of them" }]);
  }
  const uri = body.input ?? body.input_path;
  if (uri === undefined) throw invalidRequest([{ path: "input", message: "is required" }]);
  const place = resolve(deps, uri, "input");
  requireReadable(principal, place.ref.backend, place.path);
  requireReadableBackend(deps, place);
  await requireUploads(deps.sql, principal.keyId, [place.ref.uri]);
  return place.ref;
}

/** Where a checked job cannot run. Throws `request.unsupported` when no single kind of worker can run it. */
export const unfitFor = (deps: CheckDeps, spec: ConvertSpec): string[] =>
  unfitKinds(deps.kinds?.() ?? [], spec, deps.config.limits);

/** The row of a checked job. Throws as `unfitFor` does. */
export function newJobOf(
  deps: CheckDeps,
  { keyId }: Principal,
  type: keyof typeof CHECKS,
  { spec, priority, metadata, webhook }: ConvertRequest,
  { requestId, traceparent }: Pick<SubmitOptions, "requestId" | "traceparent">,
): NewJob {
  return {
    ...{ id: Bun.randomUUIDv7() as JobId, keyId, type, priority, spec, metadata, requestId, traceparent },
    webhookUrl: webhook?.url ?? null,
    webhookEvents: webhook?.events ?? [],
    unfit: unfitFor(deps, spec),
  };
}

/** Stores a job and says that it can be claimed. What was committed stays, whatever becomes of the hint. */
export async function submitJob(
  deps: SubmitDeps,
  principal: Principal,
  type: keyof typeof CHECKS,
  body: unknown,
  { requestId, traceparent, onCreated, keyBase }: SubmitOptions,
): Promise<Job> {
  const request = await checkJob(deps, principal, type, { body, keyBase });
  await requireQuota(deps.sql, principal);
  const created = newJobOf(deps, principal, type, request, { requestId, traceparent });
  // A transaction of its own is needed only where an answer is stored with the job.
  const job =
    onCreated === null
      ? await deps.insertTogether(created)
      : await deps.sql.transaction(async (tx) => {
          const inserted = await insertJob(tx, created);
          await onCreated(tx, inserted);
          return inserted;
        });
  await announceJob(deps, job);
  return job;
}

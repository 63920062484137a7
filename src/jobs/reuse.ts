/**
 * `options.reuse`: a job whose inputs and spec are those of an earlier one of its key takes over that one's outputs.
 *
 * What a result was made from and by is one hash. It leaves out what makes no difference to the bytes (where they go, what
 * the job's priority is) and holds the program's version, since another one may plan otherwise.
 */
import type { SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { splitName } from "../media/containers.ts";
import type { ConvertOptions } from "../media/operations/options.schema.ts";
import type { Operation } from "../media/operations/parse.ts";
import { isFileMaker } from "../media/operations/shape.ts";
import { sha256Hex } from "../security/digest.ts";
import { VERSION } from "../version.ts";
import { listOutputsOf } from "./outputs.ts";
import type { JobOutput } from "./store.ts";
import type { JobId } from "./types.ts";

/** An input by its place and what the store says of its bytes, or by their checksum alone. */
export type InputPrint =
  | { readonly backend: string; readonly key: string; readonly identity: string }
  | { readonly sha256: string };

export interface ResultRequest {
  readonly operations: readonly Operation[];
  readonly options: ConvertOptions;
  /** The file name at the end of `output_path`. */
  readonly outputName: string;
  readonly inputs: readonly InputPrint[];
}

const encrypts = (operation: Operation): boolean => operation.type === "stream" && operation.encryption !== "none";

/** Text that is the same for equal values, whatever the order of their names. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return Object.fromEntries(
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, one]) => [name, canonical(one)]),
  );
}

/** Null for what is never taken over: each encrypted package has a key of its own. */
export function fingerprintOf({ operations, options, outputName, inputs }: ResultRequest): string | null {
  if (operations.some(encrypts)) return null;
  const { overwrite: _overwrite, reuse: _reuse, preset: _preset, ...rest } = options;
  // Further files are named after the output, and some name each other.
  const named = operations.some((operation) => isFileMaker(operation) || operation.type === "stream");
  const name = named ? outputName : splitName(outputName).extension;
  return sha256Hex(JSON.stringify(canonical({ version: VERSION, operations, options: rest, name, inputs })));
}

/** Throws `request.unsupported` where a job asks for what its operations rule out. */
export function requireReusable(operations: readonly Operation[], { reuse }: ConvertOptions): void {
  if (reuse !== true || !operations.some(encrypts)) return;
  const message = "cannot be had with encryption, since each encrypted package has a key of its own";
  throw new RendiffError({
    kind: "request.unsupported",
    publicMessage: `options.reuse ${message}.`,
    details: [{ path: "options.reuse", message }],
  });
}

export interface ReusableResult {
  readonly jobId: JobId;
  /** Its `output_path`, as stored. */
  readonly output: string;
  readonly results: unknown;
  readonly warnings: readonly string[];
  /** All that the job published, in order; none was deleted or replaced since, as far as we know. */
  readonly outputs: readonly JobOutput[];
}

/** Each costs a look at its outputs. */
const CANDIDATES_MAX = 3;

const FIND = `
SELECT j.id, j.spec ->> 'output' AS output, j.results, j.warnings
FROM jobs me
JOIN reusable_results r ON r.key_id = me.key_id AND r.fingerprint = ANY ($2::text[]) AND r.job_id <> me.id
JOIN jobs j ON j.id = r.job_id
WHERE me.id = $1 AND NOT EXISTS (SELECT FROM job_outputs o WHERE o.job_id = j.id AND o.deleted_at IS NOT NULL)
GROUP BY j.id ORDER BY j.id DESC LIMIT ${CANDIDATES_MAX}`;

/** The newest results of the job's own key with one of these fingerprints. */
export async function findReusable(
  sql: SqlRunner,
  jobId: JobId,
  fingerprints: readonly string[],
): Promise<ReusableResult[]> {
  const jobs = await sql.query(FIND, [jobId, fingerprints]);
  const outputs = await listOutputsOf(
    sql,
    jobs.map(({ id }) => id as JobId),
  );
  return jobs.map(({ id, output, results, warnings }) => ({
    jobId: id as JobId,
    output: output as string,
    results,
    warnings: warnings as string[],
    outputs: outputs.get(id as JobId) ?? [],
  }));
}

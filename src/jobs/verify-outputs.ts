/**
 * Whether what the rows say of outputs is what lies in the storage, for after a restore: of the database, of the storage, or
 * of both from different moments.
 *
 * An output is known by its object's identity, and only this very object is ever served or deleted. A storage that was
 * copied holds other objects with the same bytes: they can be made the outputs again, after their bytes were read.
 */
import type { Sql, SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { appendAudit } from "../security/audit.ts";
import type { StorageBackend, StorageRegistry } from "../storage/port.ts";
import { IS_FINAL } from "./guards.ts";
import { claimOutputsForDeletion, finishOutputDeletion } from "./retention.ts";
import { type JobOutput, OUTPUT_COLUMNS, toOutput } from "./store.ts";
import type { JobId } from "./types.ts";

/**
 * `same`: as recorded. `copied`: another object with the recorded bytes. `gone`: nothing is there. `changed`: other bytes.
 * `replaced`: a later job's output lies there, which is no fault. `unknown`: its backend is not configured here.
 */
export type OutputState = "same" | "copied" | "gone" | "changed" | "replaced" | "unknown";

export interface OutputFinding {
  readonly output: JobOutput;
  readonly state: OutputState;
  /** The rows say it now: the copy is the output, or the output is recorded as deleted. */
  readonly repaired: boolean;
}

export interface VerifyOutputsDeps {
  readonly sql: Sql;
  readonly storage: StorageRegistry;
  readonly signal: AbortSignal;
  /** Of repairs: a key's id, or `cli`. */
  readonly actor: string;
}

export interface VerifyOutputsOptions {
  readonly repair: boolean;
  /** Called for each output that is not `same`. */
  onFinding(finding: OutputFinding): void;
}

const PAGE = 200;
/** Longer than a delete request can take, as for any other deletion. */
const TAKEOVER_MS = 60_000;

const columns = OUTPUT_COLUMNS.split(", ")
  .map((column) => `o.${column}`)
  .join(", ");

const NEXT = `SELECT ${columns}, EXISTS (
    SELECT FROM job_outputs l WHERE l.backend = o.backend AND l.key = o.key AND l.deleted_at IS NULL
      AND (l.created_at, l.job_id) > (o.created_at, o.job_id)) AS superseded
  FROM job_outputs o JOIN jobs j ON j.id = o.job_id
  WHERE o.deleted_at IS NULL AND ${IS_FINAL} AND (o.job_id, o.ordinal) > ($1::uuid, $2::integer)
  ORDER BY o.job_id, o.ordinal LIMIT $3::integer`;

const FIRST = { jobId: "00000000-0000-0000-0000-000000000000" as JobId, ordinal: -1 };

async function hashOf(backend: StorageBackend, key: string, identity: string, signal: AbortSignal): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  const { stream } = await backend.open(key, { ifIdentity: identity, signal });
  for await (const chunk of stream) hasher.update(chunk);
  return hasher.digest("hex");
}

interface Look {
  readonly state: OutputState;
  /** Of what lies there. */
  readonly identity: string | null;
}

async function lookAt(deps: VerifyOutputsDeps, output: JobOutput, superseded: boolean): Promise<Look> {
  const { storage, signal } = deps;
  if (!storage.names.includes(output.backend)) return { state: "unknown", identity: null };
  const backend = storage.backend(output.backend);
  const found = await backend.stat(output.key, signal);
  if (found === null) return { state: "gone", identity: null };
  const { identity, sizeBytes } = found;
  if (identity === output.identity) return { state: "same", identity };
  // Two rows for one object would let the deletion of the one delete the other's.
  if (superseded) return { state: "replaced", identity };
  const same =
    sizeBytes === output.sizeBytes && (await hashOf(backend, output.key, identity, signal)) === output.sha256;
  return { state: same ? "copied" : "changed", identity };
}

/** False when the row has changed meanwhile. */
async function adopt(
  sql: SqlRunner,
  { jobId, ordinal, identity: recorded }: JobOutput,
  identity: string,
): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE job_outputs o SET identity = $4 FROM jobs j
     WHERE o.job_id = $1 AND o.ordinal = $2::integer AND o.identity = $3 AND o.deleted_at IS NULL
       AND j.id = o.job_id AND ${IS_FINAL}
       AND NOT EXISTS (SELECT FROM output_claims c WHERE c.backend = o.backend AND c.key = o.key)
     RETURNING o.ordinal`,
    [jobId, ordinal, recorded, identity],
  );
  return rows.length === 1;
}

/** As a deletion that finds its object gone. False when another job publishes there just now. */
async function recordAsDeleted(sql: SqlRunner, { jobId, ordinal }: JobOutput): Promise<boolean> {
  const ordinals = [ordinal];
  const { claimed } = await claimOutputsForDeletion(sql, { jobId, ordinals, takeoverMs: TAKEOVER_MS });
  if (claimed.length === 0) return false;
  await finishOutputDeletion(sql, { jobId, outcomes: [{ ordinal, gone: true }] });
  return true;
}

/** In one transaction with its entry in the audit log: what was repaired before an interruption is on record too. */
function repair({ sql, actor }: VerifyOutputsDeps, output: JobOutput, { state, identity }: Look): Promise<boolean> {
  const { jobId, ordinal, backend, key, identity: recorded } = output;
  const told = { actor, target: jobId, address: null, requestId: null };
  const data = { ordinal, backend, key, identity: recorded };
  return sql.transaction(async (tx) => {
    if (state === "copied" && identity !== null) {
      if (!(await adopt(tx, output, identity))) return false;
      await appendAudit(tx, { ...told, action: "output.adopted", data: { ...data, adopted: identity } });
      return true;
    }
    if (state !== "gone" && state !== "changed") return false;
    if (!(await recordAsDeleted(tx, output))) return false;
    await appendAudit(tx, { ...told, action: "output.recorded_deleted", data: { ...data, found: state } });
    return true;
  });
}

/** Counts by state. Rejects with the first storage error: what a store did not say is not known. */
export async function verifyOutputs(
  deps: VerifyOutputsDeps,
  options: VerifyOutputsOptions,
): Promise<Readonly<Record<OutputState, number>>> {
  const counts: Record<OutputState, number> = { same: 0, copied: 0, gone: 0, changed: 0, replaced: 0, unknown: 0 };
  let after = FIRST;
  for (;;) {
    const rows = await deps.sql.query<Record<string, unknown>>(NEXT, [after.jobId, after.ordinal, PAGE]);
    for (const row of rows) {
      if (deps.signal.aborted) {
        throw new RendiffError({
          kind: "service.unavailable",
          publicMessage: "It was interrupted.",
          cause: deps.signal.reason,
        });
      }
      const output = toOutput(row);
      const look = await lookAt(deps, output, row.superseded === true);
      counts[look.state] += 1;
      after = output;
      if (look.state === "same") continue;
      const repaired = options.repair && (await repair(deps, output, look));
      options.onFinding({ output, state: look.state, repaired });
    }
    if (rows.length < PAGE) return counts;
  }
}

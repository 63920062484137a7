/**
 * The Sql port: what Rendiff needs from a database, and no more.
 *
 * Two adapters keep it, postgres/ and pglite/, and one conformance suite (`test/contract/sql.contract.ts`) holds both to
 * the same answers. Rules that every adapter keeps:
 * - Placeholders are `$1…$n`. Text is never built from values.
 * - int8 and numeric-free counters come back as `number` (they stay below 2^53), timestamptz as `Date`, jsonb as a
 *   parsed value, bytea as `Uint8Array`, arrays as arrays, `null` as `null`.
 * - A jsonb parameter is passed as `json(value)`, so that a string is never encoded twice.
 * - Every query has a deadline; on it the caller gets `database.timeout`, never a hang, also when the server is frozen.
 * - Errors are RendiffErrors: `database.unavailable`, `database.timeout` (both retry: backoff) or `database.conflict`
 *   (a unique or foreign key was violated; `SqlConflict.constraint` names it). Anything else is our bug: `internal`.
 * - A statement sent outside `transaction` is one implicit transaction.
 */
import { RendiffError } from "../errors.ts";

export type SqlScalar = string | number | bigint | boolean | null | Date | Uint8Array;
export type SqlParam = SqlScalar | readonly string[] | readonly number[] | Json;
export type SqlRow = Record<string, unknown>;

/** Marks a value to be sent as jsonb. */
export class Json {
  constructor(readonly value: unknown) {}
}
export const json = (value: unknown): Json => new Json(value);

export interface SqlRunner {
  /** Runs one statement and returns its rows (`RETURNING` for writes). */
  query<Row extends object = SqlRow>(text: string, params?: readonly SqlParam[]): Promise<Row[]>;
}

export interface Sql extends SqlRunner {
  readonly engine: "postgres" | "pglite";
  /** What survives: `fsync` (Postgres) or `process` (PGlite: survives kill -9, perhaps not power loss). */
  readonly durability: "fsync" | "process";
  /**
   * Runs `work` in one transaction (read committed) on one connection; commits when it resolves, rolls back when it
   * throws. The callback awaits nothing but `tx`: PGlite is a single connection, and Postgres keeps dead rows for as long
   * as a transaction is open.
   */
  transaction<T>(work: (tx: SqlRunner) => Promise<T>): Promise<T>;
  /** Runs several statements without parameters, in one transaction: migrations only. */
  script(text: string): Promise<void>;
  /** Runs `work` while holding a session-wide advisory lock; waits for it at most `waitMs`. */
  withAdvisoryLock<T>(lockId: number, waitMs: number, work: (tx: Sql) => Promise<T>): Promise<T>;
  /** Closes every connection; later calls reject with `database.unavailable`. Idempotent. */
  close(): Promise<void>;
}

/** A unique or foreign key was violated. */
export class SqlConflict extends RendiffError {
  constructor(
    readonly constraint: string,
    cause: unknown,
  ) {
    super({ kind: "database.conflict", publicMessage: "The object exists already or is in use.", cause });
  }
}

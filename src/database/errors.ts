/**
 * What an engine threw, as a RendiffError. SQL text, parameters and host names stay in `cause`, which only the log sees.
 * SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
import { RendiffError } from "../errors.ts";
import { SqlConflict } from "./sql.ts";

interface EngineError {
  readonly code?: unknown;
  readonly constraint?: unknown;
  readonly constraint_name?: unknown;
}

/** 23505 unique_violation, 23503 foreign_key_violation. */
const CONFLICT = new Set(["23505", "23503"]);
/** query_canceled (statement_timeout), lock_not_available (lock_timeout), idle_in_transaction_session_timeout. */
const TIMEOUT = new Set(["57014", "55P03", "25P03"]);
/**
 * admin_shutdown, crash_shutdown, cannot_connect_now, too_many_connections, read_only_sql_transaction (a failover moved
 * the primary), disk_full, and what a transaction may lose through no fault of its own: serialization, deadlock.
 */
const UNAVAILABLE = new Set(["57P01", "57P02", "57P03", "57P05", "53300", "25006", "53100", "53200", "40001", "40P01"]);
/** The socket's and postgres.js's own codes; SQLSTATE class 08 is "connection exception". */
const CONNECTION =
  /^(08...|CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT|E(CONNREFUSED|CONNRESET|PIPE|HOSTUNREACH|NETUNREACH|TIMEDOUT|NOTFOUND|AI_AGAIN|CONNABORTED))$/;

export const databaseTimeout = (cause: unknown): RendiffError =>
  new RendiffError({
    kind: "database.timeout",
    retry: "backoff",
    publicMessage: "The database did not answer in time.",
    cause,
  });

export const databaseUnavailable = (cause: unknown): RendiffError =>
  new RendiffError({
    kind: "database.unavailable",
    retry: "backoff",
    publicMessage: "The database is not available at the moment.",
    cause,
  });

const databaseBug = (cause: unknown): RendiffError =>
  new RendiffError({ kind: "internal", publicMessage: "An internal error occurred.", cause });

/** A statement on a transaction that was committed or rolled back: it would run outside of it. */
export const transactionEnded = (): RendiffError => databaseBug(new Error("The transaction has ended."));

export function errorCode(thrown: unknown): string {
  const code = typeof thrown === "object" && thrown !== null ? (thrown as EngineError).code : undefined;
  return typeof code === "string" ? code : "";
}

/** True when the connection that threw this must not be used again. */
export function isConnectionLost(thrown: unknown): boolean {
  const code = errorCode(thrown);
  return CONNECTION.test(code) || code.startsWith("57P") || code === "25P03" || code === "53300";
}

export function translateSqlError(thrown: unknown): RendiffError {
  if (thrown instanceof RendiffError) return thrown;
  const code = errorCode(thrown);
  if (CONFLICT.has(code)) {
    const { constraint, constraint_name } = thrown as EngineError;
    return new SqlConflict(String(constraint_name ?? constraint ?? ""), thrown);
  }
  if (TIMEOUT.has(code)) return databaseTimeout(thrown);
  if (UNAVAILABLE.has(code) || CONNECTION.test(code)) return databaseUnavailable(thrown);
  return databaseBug(thrown);
}

/** A prepared statement outlived a change of its table: it has to be prepared anew. */
export function isStalePlan(error: unknown): boolean {
  return errorCode(error) === "0A000" && (error as { routine?: unknown }).routine === "RevalidateCachedQuery";
}

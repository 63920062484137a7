/**
 * One connection to Postgres: a postgres.js client that may open one socket and is used by one caller at a time.
 *
 * We keep the pool ourselves (open-postgres.ts) because a connection whose query timed out must be thrown away alone:
 * its answer may still arrive. `.cancel()` is no way out, since it can hit whatever the server runs next.
 */
import postgres from "postgres";
import type { RendiffError } from "../../errors.ts";
import { encodeParam, PARAM_OIDS, PARSERS } from "../codec.ts";
import { DeadlinePassed, withDeadline } from "../deadline.ts";
import { databaseTimeout, databaseUnavailable, isConnectionLost, isStalePlan, translateSqlError } from "../errors.ts";
import type { SqlParam, SqlRow, SqlRunner } from "../sql.ts";
import { runTransaction, type TransactionContext } from "./transaction.ts";

export interface ConnectionOptions {
  readonly url: string;
  readonly applicationName: string;
  /** Enforced by the server. */
  readonly statementTimeoutMs: number;
  /** A transaction that stops talking is ended after this; 0 is never. */
  readonly idleInTransactionMs: number;
  /** Enforced here: longer than the server's own limit, so that it fires only for a server that is frozen or cut off. */
  readonly outerTimeoutMs: number;
  /**
   * `session`: limits are start-up parameters and statements are prepared by name. `transaction`: a pooler gives us
   * another backend for each transaction, so limits are SET LOCAL and nothing is left behind.
   */
  readonly pooling: "session" | "transaction";
  /** With `transaction`: false if the server's own settings limit statements well enough already. */
  readonly setLimits: boolean;
}

export interface Connection extends SqlRunner {
  /** False once the connection was lost or given up; it then rejects everything. */
  readonly usable: boolean;
  readonly openedAtMs: number;
  /** Rejects when the connection is lost. */
  readonly lost: Promise<never>;
  transaction<T>(work: (tx: SqlRunner) => Promise<T>): Promise<T>;
  /** Several statements without parameters, in one transaction. */
  script(text: string): Promise<void>;
  /** The process id that was announced at start-up, and the backend's own: a pooler makes the first one up. */
  pids(): Promise<{ readonly announced: number; readonly backend: number }>;
  discard(): void;
}

type Client = postgres.Sql | postgres.TransactionSql;

const asText = { serialize: (text: string): string => text };

/** postgres.js is told to send our text as it is and to parse with our table. */
const codecTypes = Object.fromEntries(
  PARAM_OIDS.map((oid) => [`oid${oid}`, { to: oid, from: [oid], ...asText, parse: PARSERS[oid] ?? asText.serialize }]),
);

function openClient(options: ConnectionOptions, onClose: () => void): postgres.Sql {
  const limits =
    options.pooling === "session"
      ? {
          statement_timeout: options.statementTimeoutMs,
          idle_in_transaction_session_timeout: serverIdleMs(options),
        }
      : {};
  return postgres(options.url, {
    max: 1,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: Math.max(1, Math.ceil(options.outerTimeoutMs / 1000)),
    fetch_types: false,
    prepare: options.pooling === "session",
    onnotice: () => {},
    onclose: onClose,
    types: codecTypes,
    connection: { application_name: options.applicationName, ...limits },
  });
}

function send(client: Client, text: string, params: readonly SqlParam[], prepare: boolean) {
  const values = params.map((param) => {
    const { text: value, oid } = encodeParam(param);
    return value === null || oid === 0 ? value : client.typed(value, oid);
  });
  // The extended protocol also without parameters: it prepares, and it refuses a second statement in the text.
  return client.unsafe<SqlRow[]>(
    text,
    values as postgres.ParameterOrJSON<never>[],
    { prepare, simple: false } as object,
  );
}

export function makeConnection(options: ConnectionOptions): Connection {
  const loss = Promise.withResolvers<never>();
  loss.promise.catch(() => {});
  let usable = true;
  const markLost = (cause: unknown): void => {
    usable = false;
    loss.reject(databaseUnavailable(cause));
  };
  const client = openClient(options, () => markLost(new Error("The server closed the connection.")));
  const prepare = options.pooling === "session";
  const needsLimits = options.pooling === "transaction" && options.setLimits;

  const discard = (): void => {
    markLost(new Error("The connection was given up."));
    client.end({ timeout: 0 }).catch(() => {});
  };
  const toFailure = (error: unknown): RendiffError => {
    const late = error instanceof DeadlinePassed;
    const stale = isStalePlan(error);
    if (late || stale || isConnectionLost(error)) discard();
    if (late) return databaseTimeout(error);
    return stale ? databaseUnavailable(error) : translateSqlError(error);
  };
  const guarded = async <T>(start: () => PromiseLike<T>): Promise<T> => {
    try {
      if (!usable) throw databaseUnavailable(new Error("The connection is lost."));
      return await withDeadline(start(), options.outerTimeoutMs);
    } catch (error) {
      throw toFailure(error);
    }
  };
  const context: TransactionContext = {
    client,
    outerTimeoutMs: options.outerTimeoutMs,
    idleInTransactionMs: options.idleInTransactionMs,
    limitsSql: needsLimits ? limitsSql(options) : null,
    async runQuery<Row extends object>(runner: Client, text: string, params: readonly SqlParam[]) {
      return Array.from(await guarded(() => send(runner, text, params, prepare))) as Row[];
    },
    async runScript(runner, text) {
      await guarded(() => runner.unsafe(text));
    },
    toFailure,
  };

  return {
    openedAtMs: performance.now(),
    lost: loss.promise,
    get usable() {
      return usable;
    },
    async query<Row extends object>(text: string, params: readonly SqlParam[] = []) {
      if (needsLimits) return runTransaction(context, (tx) => tx.query<Row>(text, params));
      return Array.from(await guarded(() => send(client, text, params, prepare))) as Row[];
    },
    transaction: (work) => runTransaction(context, work),
    script: (text) => runTransaction(context, (tx) => tx.script(text)),
    async pids() {
      const result = await guarded(() => client.unsafe<{ pid: number }[]>("SELECT pg_backend_pid() AS pid"));
      const { pid } = (result as unknown as { state: { pid: number } }).state;
      return { announced: pid, backend: Number(result[0]?.pid) };
    },
    discard,
  };
}

const limitsSql = (options: ConnectionOptions): string =>
  `SET LOCAL statement_timeout = ${options.statementTimeoutMs};` +
  `SET LOCAL idle_in_transaction_session_timeout = ${serverIdleMs(options)}`;

/** Later than our own limit, which answers better: the server's is for a client that is frozen or gone. */
const serverIdleMs = (options: ConnectionOptions): number => 2 * options.idleInTransactionMs;

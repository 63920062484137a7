/**
 * One transaction on one connection. Each phase has its own end: BEGIN, every statement, what the callback does between
 * statements, COMMIT or ROLLBACK. postgres.js's `begin` keeps the statements on the connection that began: were it lost,
 * a statement of ours must never run on its successor, outside of any transaction.
 */
import type postgres from "postgres";
import { type RendiffError, toRendiffError } from "../../errors.ts";
import { transactionEnded } from "../errors.ts";
import type { SqlParam, SqlRunner } from "../sql.ts";
import { makeWatch } from "../watch.ts";

/** What a connection gives to a transaction. */
export interface TransactionContext {
  readonly client: postgres.Sql;
  readonly outerTimeoutMs: number;
  readonly idleInTransactionMs: number;
  /** SET LOCAL statements, or null where the session has its limits already. */
  readonly limitsSql: string | null;
  runQuery<Row extends object>(
    client: postgres.TransactionSql,
    text: string,
    params: readonly SqlParam[],
  ): Promise<Row[]>;
  /** With a deadline; rejects with a RendiffError. */
  runScript(client: postgres.TransactionSql, text: string): Promise<void>;
  /** Translates an error and gives the connection up where it must not be used again. */
  toFailure(error: unknown): RendiffError;
}

export interface TransactionRunner extends SqlRunner {
  /** Several statements without parameters. */
  script(text: string): Promise<void>;
}

export async function runTransaction<T>(
  context: TransactionContext,
  work: (tx: TransactionRunner) => Promise<T>,
): Promise<T> {
  const { outerTimeoutMs, idleInTransactionMs, limitsSql } = context;
  const watch = makeWatch();
  const outcome = makeOutcome<T>();
  let ended = false;
  let running = 0;

  const track = async <R>(start: () => Promise<R>): Promise<R> => {
    if (ended) throw transactionEnded();
    running += 1;
    watch.stop();
    try {
      return await start();
    } finally {
      running -= 1;
      if (running === 0 && !ended) watch.start(idleInTransactionMs);
    }
  };
  const callback = async (client: postgres.TransactionSql): Promise<void> => {
    const tx: TransactionRunner = {
      query: (text, params = []) => track(() => context.runQuery(client, text, params)),
      script: (text) => track(() => context.runScript(client, text)),
    };
    try {
      if (limitsSql !== null) await tx.script(limitsSql);
      watch.start(idleInTransactionMs);
      outcome.succeed(await work(tx));
    } catch (error) {
      outcome.fail(error);
      throw error;
    } finally {
      ended = true;
      watch.start(outerTimeoutMs);
    }
  };

  try {
    watch.start(outerTimeoutMs);
    await Promise.race([context.client.begin(callback), watch.passed]);
  } catch (error) {
    const failure = context.toFailure(error);
    // The callback's own error is the caller's; what rolling back said about it is not.
    throw outcome.error() ?? failure;
  } finally {
    ended = true;
    watch.stop();
  }
  return outcome.value();
}

/** What the callback came to, kept apart from what the transaction came to. */
function makeOutcome<T>() {
  let result: { readonly value: T } | { readonly error: unknown } | null = null;
  return {
    succeed: (value: T): void => {
      result = { value };
    },
    fail: (error: unknown): void => {
      result = { error };
    },
    error: (): unknown => (result !== null && "error" in result ? result.error : null),
    value: (): T => {
      if (result !== null && "value" in result) return result.value;
      throw toRendiffError(new Error("A transaction committed before its callback ended."));
    },
  };
}

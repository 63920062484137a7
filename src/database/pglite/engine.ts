/**
 * Statements on PGlite, one after the other, by the wire protocol.
 *
 * PGlite runs a statement on our own thread: while it runs nothing else does, so its timers cannot fire and
 * `statement_timeout` cannot work. What we can do is look at the clock between executing and committing: a statement that
 * took too long is undone and reported as `database.timeout`, as Postgres would have done.
 *
 * What comes again is prepared, as it is on Postgres: see prepared.ts.
 */
import { type PGlite, protocol } from "@electric-sql/pglite";
import { encodeParam, PARSERS } from "../codec.ts";
import { DeadlinePassed } from "../deadline.ts";
import { databaseTimeout, databaseUnavailable, isStalePlan, translateSqlError } from "../errors.ts";
import type { SqlParam, SqlRow } from "../sql.ts";
import { makePrepared, type PreparedMessage } from "./prepared.ts";

const { serialize } = protocol;
type Messages = Awaited<ReturnType<PGlite["execProtocolStream"]>>;

export interface Engine {
  /** One statement; in no transaction it is one of its own. */
  statement(text: string, params: readonly SqlParam[]): Promise<SqlRow[]>;
  /** BEGIN, COMMIT, ROLLBACK, or several statements in one transaction. No deadline. Resolves with the last command. */
  command(text: string): Promise<string>;
}

export function makeEngine(pg: PGlite, statementTimeoutMs: number): Engine {
  let broken: unknown = null;
  let tail: Promise<unknown> = Promise.resolve();
  const prepared = makePrepared();
  /** A statement is several messages; two must never mix, also when a transaction sends them at once. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = tail.then(() => {
      if (broken !== null) throw databaseUnavailable(broken);
      return work();
    });
    tail = turn.catch(() => {});
    return turn;
  };
  const send = (message: Uint8Array): Promise<Messages> => pg.execProtocolStream(message, { syncToFs: false });
  /** Ends a statement: commits it, or rolls it back if it failed. An engine that does not say it is ready is lost. */
  const sync = async (): Promise<void> => {
    const messages = await send(serialize.sync());
    if (messages.some((message) => message.name === "readyForQuery")) return;
    broken = new Error("PGlite stopped answering.");
    throw databaseUnavailable(broken);
  };

  return {
    statement: (text, params) =>
      inTurn(async () => {
        const startedAtMs = performance.now();
        let step: PreparedMessage | null = null;
        try {
          step = prepared.message(text, params.map(encodeParam));
          const messages = await send(step.message);
          if (performance.now() - startedAtMs > statementTimeoutMs) {
            await abort(send);
            throw databaseTimeout(new DeadlinePassed(statementTimeoutMs));
          }
          step.kept();
          return toRows(messages);
        } catch (error) {
          step?.failed();
          throw isStalePlan(error) ? databaseUnavailable(error) : translateSqlError(error);
        } finally {
          await sync();
        }
      }),
    command: (text) =>
      inTurn(async () => {
        try {
          return lastCommand(await send(serialize.query(text)));
        } catch (error) {
          throw translateSqlError(error);
        } finally {
          await sync();
        }
      }),
  };
}

/** Any error before Sync undoes what was executed since the last one. */
async function abort(send: (message: Uint8Array) => Promise<Messages>): Promise<void> {
  await send(serialize.parse({ text: "undo" })).catch(() => {});
}

interface RowDescription {
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
}
interface DataRow {
  readonly fields: readonly (string | null)[];
}

function toRows(messages: Messages): SqlRow[] {
  let columns: RowDescription["fields"] = [];
  const rows: SqlRow[] = [];
  for (const message of messages) {
    if (message.name === "rowDescription") columns = (message as unknown as RowDescription).fields;
    if (message.name !== "dataRow") continue;
    const row: SqlRow = {};
    const { fields } = message as unknown as DataRow;
    columns.forEach(({ name, dataTypeID }, at) => {
      const text = fields[at] ?? null;
      const parse = PARSERS[dataTypeID];
      row[name] = text === null || parse === undefined ? text : parse(text);
    });
    rows.push(row);
  }
  return rows;
}

function lastCommand(messages: Messages): string {
  const complete = messages.findLast((message) => message.name === "commandComplete");
  return complete === undefined ? "" : (complete as unknown as { readonly text: string }).text;
}

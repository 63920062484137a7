/**
 * Prepared statements of the one connection that PGlite is.
 *
 * Most of a short statement's time goes into parsing and planning it, ten times as much as on a server, since all of it runs
 * in WebAssembly. A text that comes a second time is therefore prepared under a name, and Postgres keeps its plan until the
 * tables or their statistics change. A text that comes once is not: what it costs to keep would never come back.
 */
import { protocol } from "@electric-sql/pglite";
import type { EncodedParam } from "../codec.ts";

const { serialize } = protocol;

/** Each holds its plan in memory; the program has some hundred texts, of which few come often. */
const PREPARED_MAX = 100;

export interface PreparedMessage {
  /** Parse where it is needed, Bind, Describe, Execute in one go; Sync, which commits, comes apart. */
  readonly message: Uint8Array;
  /** To be called when it was executed. */
  kept(): void;
  /** To be called when it failed: whatever the engine made of it, the next one begins anew. */
  failed(): void;
}

export interface Prepared {
  message(text: string, params: readonly EncodedParam[]): PreparedMessage;
}

export function makePrepared(preparedMax = PREPARED_MAX): Prepared {
  /** Names by text and types, in the order of their last use; null: seen once. */
  const names = new Map<string, string | null>();
  let made = 0;
  /** To be closed with the next message: after an error nothing is taken before a Sync. */
  let useless: string[] = [];

  const forget = (key: string): void => {
    const name = names.get(key);
    names.delete(key);
    if (name != null) useless.push(name);
  };
  const remember = (key: string, name: string | null): void => {
    names.delete(key);
    names.set(key, name);
    const [oldest] = names.keys();
    if (names.size > preparedMax && oldest !== undefined) forget(oldest);
  };

  return {
    message(text, params) {
      const types = params.map(({ oid }) => oid);
      const key = `${types.join()} ${text}`;
      const known = names.get(key);
      const isNew = known == null;
      // Never a name again: of one that failed nobody knows whether the engine has it.
      if (known === null) made += 1;
      const name = known === null ? `s${made}` : (known ?? "");
      const closing = useless.map((one) => serialize.close({ type: "S", name: one }));
      useless = [];
      return {
        message: Buffer.concat([
          ...closing,
          ...(isNew ? [serialize.parse({ name, text, types })] : []),
          serialize.bind({ statement: name, values: params.map((param) => param.text) }),
          serialize.describe({ type: "P" }),
          serialize.execute({}),
        ]),
        kept: () => remember(key, known === undefined ? null : name),
        failed() {
          if (known === null) useless.push(name);
          forget(key);
        },
      };
    },
  };
}

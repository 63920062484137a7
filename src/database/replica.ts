/**
 * A read replica in front of the primary, for lists: what the replica cannot answer (it is away, or has not seen the
 * newest migration yet) the primary does. A replica is a moment behind, so a list may miss what was just made; a single
 * row is always read from the primary.
 *
 * It is connected to by the first list that wants it, so that a replica that is away keeps no server from starting.
 */
import type { DatabaseLogger } from "./logger.ts";
import type { Sql, SqlParam } from "./sql.ts";

/** After a failure the replica is left alone for so long, so that its deadlines are not waited for again and again. */
const REST_MS = 5_000;

export interface Replica {
  /** Asked again after each failure. */
  open(): Promise<Sql>;
  readonly logger: DatabaseLogger;
  readonly restMs?: number;
}

/** Reads only; transactions, scripts and locks are the primary's. Closing closes the replica alone. */
export function withReplica(primary: Sql, { open, logger, restMs = REST_MS }: Replica): Sql {
  let restUntilMs = Number.NEGATIVE_INFINITY;
  let opened: Promise<Sql> | null = null;
  const connect = (): Promise<Sql> => {
    const opening = open();
    opening.catch(() => {
      opened = null;
    });
    return opening;
  };
  return {
    ...primary,
    async query<Row extends object>(text: string, params: readonly SqlParam[] = []) {
      if (performance.now() < restUntilMs) return primary.query<Row>(text, params);
      try {
        opened ??= connect();
        return await (await opened).query<Row>(text, params);
      } catch (error) {
        restUntilMs = performance.now() + restMs;
        logger.warn({ err: error }, "the read replica did not answer; the primary serves lists for a while");
        return primary.query<Row>(text, params);
      }
    },
    async close() {
      const replica = await opened?.catch(() => null);
      await replica?.close();
    },
  };
}

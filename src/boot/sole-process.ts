/**
 * Postgres without Redis is one combined process: two would coordinate in two separate memories. The embedded database
 * has the lock of its folder; on Postgres a session's advisory lock, held as long as the process lives, says the same.
 *
 * The session can be lost (Postgres restarts, a connection drops): the lock is taken again as soon as that is possible.
 * Only when another process keeps it does this one have to end.
 */
import { setTimeout as delay } from "node:timers/promises";
import { errorCode } from "../database/errors.ts";
import type { Sql } from "../database/sql.ts";
import { RendiffError, toRendiffError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";

/** "rendiff" + 1, beside the lock of the migrations. */
const SOLE_PROCESS_LOCK_ID = 0x72_65_6e_64_69_67;
/** A process that was just replaced may still be closing. */
const WAIT_MS = 2_000;
const AGAIN_MS = 1_000;
/** Postgres may take a while to notice that the lost session of this very process is gone. */
const GIVE_UP_MS = 120_000;
/** The statement_timeout ended the wait: the lock is held, whereas a server that does not answer says nothing. */
const QUERY_CANCELED = "57014";

export interface SoleProcess {
  /** Rejects when another process took the database over; else it never settles. */
  readonly lost: Promise<never>;
  release(): Promise<void>;
}

const isHeldByAnother = (error: unknown): boolean => errorCode(toRendiffError(error).cause) === QUERY_CANCELED;

function heldByAnother(cause: unknown): RendiffError {
  return new RendiffError({
    kind: "service.unavailable",
    publicMessage: "Another Rendiff uses this database. Without Redis (REDIS_URL) only one may run.",
    cause,
  });
}

/** Rejects with `service.unavailable` when another process has the database. */
export async function claimSoleProcess(sql: Sql, logger: Logger, giveUpMs = GIVE_UP_MS): Promise<SoleProcess> {
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => {});
  if (sql.engine === "pglite") return { lost: lost.promise, release: async () => {} };
  const releasing = new AbortController();
  const { signal } = releasing;
  const released = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

  /** Resolves when it was released, rejects when the lock was not to be had or was lost. */
  const hold = (onHeld: () => void): Promise<void> =>
    sql.withAdvisoryLock(SOLE_PROCESS_LOCK_ID, WAIT_MS, async () => {
      onHeld();
      await released;
    });

  async function keep(first: Promise<void>): Promise<void> {
    let heldSinceMs: number | null = null;
    const again = (): Promise<void> =>
      hold(() => {
        heldSinceMs = null;
        logger.info({}, "this process is alone again");
      });
    for (let held: Promise<void> | null = first; !signal.aborted; held = null) {
      try {
        await (held ?? again());
      } catch (error) {
        if (signal.aborted) return;
        const nowMs = performance.now();
        heldSinceMs = isHeldByAnother(error) ? (heldSinceMs ?? nowMs) : null;
        if (heldSinceMs !== null && nowMs - heldSinceMs >= giveUpMs) return lost.reject(heldByAnother(error));
        logger.warn({ err: error }, "the lock that says this process is alone was lost; taking it again");
        await delay(AGAIN_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  const first = Promise.withResolvers<void>();
  const held = hold(first.resolve);
  held.catch((error: unknown) => first.reject(isHeldByAnother(error) ? heldByAnother(error) : error));
  await first.promise;
  const kept = keep(held);
  return {
    lost: lost.promise,
    async release() {
      releasing.abort();
      await kept;
    },
  };
}

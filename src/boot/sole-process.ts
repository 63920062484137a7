/**
 * Postgres without Redis is one combined process: two would coordinate in two separate memories. The embedded database
 * has the lock of its folder; on Postgres a session's advisory lock, held as long as the process lives, says the same.
 */
import type { Sql } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";

/** "rendiff" + 1, beside the lock of the migrations. */
const SOLE_PROCESS_LOCK_ID = 0x72_65_6e_64_69_67;
const WAIT_MS = 2_000;

export interface SoleProcess {
  release(): Promise<void>;
}

/** Rejects with `service.unavailable` when another process has the database. */
export async function claimSoleProcess(sql: Sql): Promise<SoleProcess> {
  if (sql.engine === "pglite") return { release: async () => {} };
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let ended: Promise<void> = Promise.resolve();
  await new Promise<void>((resolve, reject) => {
    ended = sql.withAdvisoryLock(SOLE_PROCESS_LOCK_ID, WAIT_MS, async () => {
      resolve();
      await released;
    });
    ended.catch((cause: unknown) =>
      reject(
        new RendiffError({
          kind: "service.unavailable",
          publicMessage: "Another Rendiff uses this database. Without Redis (REDIS_URL) only one may run.",
          cause,
        }),
      ),
    );
  });
  return {
    async release() {
      release();
      await ended.catch(() => {});
    },
  };
}

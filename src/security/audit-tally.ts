/**
 * What happens too often for a row each, counted and written now and then: refused keys, so that an attack costs the
 * database nothing, and administrators' reads, which a dashboard makes every few seconds.
 */
import type { Sql } from "../database/sql.ts";
import type { Logger } from "../telemetry/logger.ts";
import { type AuditEntry, appendAudit } from "./audit.ts";

const FLUSH_MS = 60_000;
/** From more addresses than this, the rest is counted together. */
const ENTRIES_MAX = 1_000;

export interface AuditTally {
  count(entry: Pick<AuditEntry, "actor" | "action" | "address">, requestId: string): void;
  /** Resolves when what was counted until now is written. */
  flush(): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
}

interface Counted {
  readonly entry: Pick<AuditEntry, "actor" | "action" | "address">;
  /** Of the first. */
  readonly requestId: string;
  count: number;
}

export function makeAuditTally({ sql, logger }: { readonly sql: Sql; readonly logger: Logger }): AuditTally {
  const counted = new Map<string, Counted>();
  let timer: ReturnType<typeof setTimeout> | null = null;

  async function write(): Promise<void> {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    const batch = [...counted.values()];
    counted.clear();
    if (batch.length === 0) return;
    try {
      await sql.transaction(async (tx) => {
        for (const { entry, requestId, count } of batch) {
          await appendAudit(tx, { ...entry, target: null, requestId, data: { count } });
        }
      });
    } catch (error) {
      logger.error({ err: error, entries: batch.length }, "counted audit entries could not be written");
    }
    for (const { entry, count } of batch) logger.info({ ...entry, count }, "audit");
  }

  // One after the other: whoever closes the database afterwards must not do so under one that is being written.
  let writing: Promise<void> = Promise.resolve();
  const flush = (): Promise<void> => {
    writing = writing.then(write);
    return writing;
  };

  return {
    count(entry, requestId) {
      const full = counted.size >= ENTRIES_MAX;
      const shown = full ? { ...entry, address: null } : entry;
      const name = JSON.stringify([shown.actor, shown.action, shown.address]);
      const known = counted.get(name);
      if (known !== undefined) {
        known.count += 1;
        return;
      }
      counted.set(name, { entry: shown, requestId, count: 1 });
      if (timer === null) {
        timer = setTimeout(() => void flush(), FLUSH_MS);
        timer.unref?.();
      }
    },
    flush,
    close: flush,
  };
}

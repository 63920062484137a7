/**
 * What Postgres's background processes do and PGlite has no processes for. Without it the log of writes grew for as long as
 * the service ran (337 MB after 160,000 updates, all to be replayed after a crash), and dead rows were never removed.
 *
 * A round is one look and at most one piece of work, because everything else waits meanwhile: a checkpoint of 32 MiB takes
 * some 60 ms, a vacuum of 40,000 jobs under 2 s, and only the first of its kind so long.
 */
import type { Engine } from "./engine.ts";

export const MAINTENANCE_INTERVAL_MS = 15_000;
const WAL_BYTES_MAX = 32 * 2 ** 20;
/** autovacuum's own rule, with thresholds for small databases. */
const DEAD_ROWS_MIN = 500;
const DEAD_SHARE = 0.2;
const CHANGED_ROWS_MIN = 500;
const CHANGED_SHARE = 0.1;

/** Also makes what was counted so far visible to the next statement; by itself that may take a second and more. */
const WAL_SQL = `SELECT (pg_current_wal_insert_lsn() - redo_lsn)::int8 AS bytes, pg_stat_force_next_flush()::text
  FROM pg_control_checkpoint()`;

/** The table most in need; names come from the catalogue and are quoted by it. */
const TABLE_SQL = `SELECT format('%I.%I', s.schemaname, s.relname) AS name,
    s.n_dead_tup > ${DEAD_ROWS_MIN} + ${DEAD_SHARE} * greatest(c.reltuples, 0) AS dead
  FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
  WHERE s.n_dead_tup > ${DEAD_ROWS_MIN} + ${DEAD_SHARE} * greatest(c.reltuples, 0)
     OR s.n_mod_since_analyze > ${CHANGED_ROWS_MIN} + ${CHANGED_SHARE} * greatest(c.reltuples, 0)
  ORDER BY dead DESC, s.n_dead_tup + s.n_mod_since_analyze DESC LIMIT 1`;

/** One round; resolves with the command it ran, or null if there was nothing to do. The caller holds the connection. */
export async function maintain(engine: Engine): Promise<string | null> {
  const [wal] = await engine.statement(WAL_SQL, []);
  if (Number(wal?.bytes) > WAL_BYTES_MAX) return await run(engine, "CHECKPOINT");
  const [table] = await engine.statement(TABLE_SQL, []);
  if (table === undefined) return null;
  return await run(engine, table.dead === true ? `VACUUM (ANALYZE) ${table.name}` : `ANALYZE ${table.name}`);
}

async function run(engine: Engine, command: string): Promise<string> {
  await engine.command(command);
  return command;
}

/** Rounds for as long as the database is open. Never keeps the process alive; `stop` is final. */
export function startMaintenance(round: () => Promise<unknown>): { stop(): void } {
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const next = (): void => {
    timer = setTimeout(() => {
      // A round that fails is tried again: its reason will show itself to the statements that matter.
      round()
        .catch(() => {})
        .finally(() => {
          if (!stopped) next();
        });
    }, MAINTENANCE_INTERVAL_MS);
    timer.unref();
  };
  next();
  return {
    stop() {
      stopped = true;
      if (timer !== null) clearTimeout(timer);
    },
  };
}

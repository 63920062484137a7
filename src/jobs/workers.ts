/** The workers that have not left, and what each holds: for people. */
import type { SqlRunner } from "../database/sql.ts";

export interface WorkerSummary {
  readonly id: string;
  readonly role: string;
  readonly class: string;
  readonly version: string;
  readonly slots: number;
  readonly running: number;
  readonly draining: boolean;
  /** It has beaten within the last `ticks`. */
  readonly alive: boolean;
  readonly startedAt: string;
}

const LIST_MAX = 1_000;

const LIST = `
SELECT w.id, w.role, w.class, w.version, w.slots, w.draining, w.started_at, w.seen_tick > l.tick - $1::bigint AS alive,
  (SELECT count(*)::integer FROM jobs j WHERE j.worker_id = w.id AND j.status = 'processing') AS running
FROM workers w, liveness l WHERE w.left_at IS NULL ORDER BY w.id LIMIT ${LIST_MAX}`;

interface WorkerRow extends Omit<WorkerSummary, "startedAt"> {
  readonly started_at: Date;
}

/** `ticks`: after how many without a heartbeat a worker is dead. */
export async function listWorkers(sql: SqlRunner, ticks: number): Promise<WorkerSummary[]> {
  const rows = await sql.query<WorkerRow>(LIST, [ticks]);
  return rows.map(({ started_at: startedAt, ...row }) => ({
    id: row.id,
    role: row.role,
    class: row.class,
    version: row.version,
    slots: row.slots,
    running: row.running,
    draining: row.draining,
    alive: row.alive,
    startedAt: startedAt.toISOString(),
  }));
}

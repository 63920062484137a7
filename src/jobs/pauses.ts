/** Classes that an administrator has paused: their jobs are accepted and wait; what runs goes on. */
import type { SqlRunner } from "../database/sql.ts";
import { priorityNumber, toPriority } from "./store.ts";
import type { Priority } from "./types.ts";

export interface Pause {
  readonly priority: Priority;
  readonly pausedAt: Date;
}

export async function listPauses(sql: SqlRunner): Promise<Pause[]> {
  const rows = await sql.query<{ priority: number; paused_at: Date }>(
    "SELECT priority, paused_at FROM queue_pauses ORDER BY priority",
  );
  return rows.map((row) => ({ priority: toPriority(row.priority), pausedAt: row.paused_at }));
}

/** Idempotent: a class that is paused already keeps its time. `by`: who does it, for people. */
export async function pauseClasses(sql: SqlRunner, priorities: readonly Priority[], by: string): Promise<void> {
  await sql.query(
    `INSERT INTO queue_pauses (priority, paused_by) SELECT p, $2 FROM unnest($1::smallint[]) AS p
     ON CONFLICT (priority) DO NOTHING`,
    [priorities.map(priorityNumber), by],
  );
}

/** Idempotent. */
export async function resumeClasses(sql: SqlRunner, priorities: readonly Priority[]): Promise<void> {
  await sql.query("DELETE FROM queue_pauses WHERE priority = ANY ($1::smallint[])", [priorities.map(priorityNumber)]);
}

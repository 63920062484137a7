/**
 * Ageing: classes are strict, so one that is always busy would stop those below it for ever. A job that could have run
 * for `afterMs` moves up one class, and after as long again another; it keeps the priority that its client gave it.
 */
import type { ReadyHint } from "../coordination/ports.ts";
import type { SqlRunner } from "../database/sql.ts";
import { IS_QUEUED, QUEUE_CLASS } from "./guards.ts";
import { milliseconds, queueRank } from "./statements.ts";
import { toPriority } from "./store.ts";

const AGE = `
WITH old AS (
  SELECT j.id, ${QUEUE_CLASS} - 1 AS class FROM jobs j
  WHERE ${IS_QUEUED} AND ${QUEUE_CLASS} > 0
    AND j.run_at <= now() - ${milliseconds("$1")} * (j.priority - ${QUEUE_CLASS} + 1)
  ORDER BY j.run_at LIMIT $2::integer FOR UPDATE SKIP LOCKED)
UPDATE jobs j SET aged_priority = o.class, queue_rank = ${queueRank("j", "o.class")}, updated_at = now()
FROM old o WHERE j.id = o.id
RETURNING j.id, j.aged_priority, j.queue_rank`;

/** Moves up to `limit` of the jobs that have waited for longest; returns their hints in their new classes. */
export async function ageJobs(
  sql: SqlRunner,
  { afterMs, limit }: { readonly afterMs: number; readonly limit: number },
): Promise<ReadyHint[]> {
  const rows = await sql.query<{ id: string; aged_priority: number; queue_rank: number }>(AGE, [afterMs, limit]);
  return rows.map((row) => ({ jobId: row.id, priority: toPriority(row.aged_priority), rank: row.queue_rank }));
}

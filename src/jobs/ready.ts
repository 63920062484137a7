/** The queue as the rows have it: what the ready queue's hints are made from, and how long the wait is. */

import type { ReadyHint } from "../coordination/ports.ts";
import type { SqlParam, SqlRunner } from "../database/sql.ts";
import { IS_DUE, IS_QUEUED, NOT_CANCELLED, NOT_PAUSED, QUEUE_CLASS } from "./guards.ts";
import { millisecondsUntil } from "./statements.ts";
import { priorityNumber, toPriority } from "./store.ts";
import { PRIORITIES, type Priority } from "./types.ts";

/** Jobs that may be claimed now, in the order in which they would be; after `after`, from the page before. */
export async function readyHints(
  sql: SqlRunner,
  { limit, after }: { readonly limit: number; readonly after?: ReadyHint },
): Promise<ReadyHint[]> {
  const params: SqlParam[] = [limit];
  let condition = "";
  if (after !== undefined) {
    params.push(priorityNumber(after.priority), after.rank, after.jobId);
    condition = `AND (${QUEUE_CLASS}, j.queue_rank, j.id) > ($2::smallint, $3::double precision, $4::uuid)`;
  }
  const rows = await sql.query<{ id: string; priority: number; queue_rank: number }>(
    `SELECT j.id, ${QUEUE_CLASS} AS priority, j.queue_rank FROM jobs j
     WHERE ${IS_QUEUED} AND ${IS_DUE} AND ${NOT_CANCELLED} AND ${NOT_PAUSED} ${condition}
     ORDER BY ${QUEUE_CLASS}, j.queue_rank, j.id LIMIT $1::integer`,
    params,
  );
  return rows.map((row) => ({ jobId: row.id, priority: toPriority(row.priority), rank: row.queue_rank }));
}

/**
 * Tells the planner how long the queue is, and so drops the plans that were made before. Where it believes that nobody waits
 * it reads and sorts all who do for each claim, and a prepared statement keeps that plan: with 6,000 queued jobs, 400 claims
 * a second against 3,000.
 */
export async function refreshQueuePlans(sql: SqlRunner): Promise<void> {
  await sql.query("ANALYZE jobs");
}

/** In how many milliseconds, by the database's clock, the next job that waits for its time may run; null when none waits. */
export async function nextDueMs(sql: SqlRunner): Promise<number | null> {
  const [row] = await sql.query<{ ms: number | null }>(
    `SELECT ${millisecondsUntil("min(j.run_at)")} AS ms FROM jobs j WHERE ${IS_QUEUED} AND j.run_at > now()`,
  );
  return row?.ms ?? null;
}

export interface ClassStats {
  /** May run now. */
  readonly ready: number;
  /** Waits for its time: a retry or a snoozed job. */
  readonly delayed: number;
  /** Of the job that could have run for longest; 0 when none is ready. */
  readonly oldestWaitSeconds: number;
}

export interface QueueStats {
  readonly byPriority: Readonly<Record<Priority, ClassStats>>;
  readonly processing: number;
}

const STATS = `
SELECT j.priority, count(*) FILTER (WHERE ${IS_DUE})::integer AS ready,
  count(*) FILTER (WHERE NOT (${IS_DUE}))::integer AS delayed,
  coalesce(extract(epoch FROM now() - min(j.run_at) FILTER (WHERE ${IS_DUE})), 0)::double precision AS oldest,
  (SELECT count(*)::integer FROM jobs p WHERE p.status = 'processing') AS processing
FROM (SELECT priority, run_at, status FROM jobs UNION ALL
  SELECT n::smallint, NULL, 'none' FROM generate_series(0, ${PRIORITIES.length - 1}) AS n) AS j
WHERE ${IS_QUEUED} OR j.status = 'none'
GROUP BY j.priority ORDER BY j.priority`;

export async function queueStats(sql: SqlRunner): Promise<QueueStats> {
  const rows = await sql.query<{
    priority: number;
    ready: number;
    delayed: number;
    oldest: number;
    processing: number;
  }>(STATS);
  const stats = (priority: Priority): ClassStats => {
    const row = rows.find((candidate) => candidate.priority === priorityNumber(priority));
    return { ready: row?.ready ?? 0, delayed: row?.delayed ?? 0, oldestWaitSeconds: row?.oldest ?? 0 };
  };
  return {
    byPriority: { high: stats("high"), normal: stats("normal"), low: stats("low") },
    processing: rows[0]?.processing ?? 0,
  };
}

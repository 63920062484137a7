/**
 * What the database alone knows of the whole, for the gauges of `/metrics`: the same in every replica, so a dashboard takes
 * the maximum of them and never their sum.
 *
 * Each read goes over an index of what is open: jobs that have ended, however many are kept, cost nothing.
 */
import type { SqlRunner } from "../database/sql.ts";
import { IS_DUE, IS_QUEUED, WORKER_IS_BEHIND } from "./guards.ts";
import { priorityNumber } from "./store.ts";
import { PRIORITIES, type Priority } from "./types.ts";

export interface FleetGauges {
  /** Jobs that could run now and wait. */
  readonly queueDepth: Readonly<Record<Priority, number>>;
  /** Of the job that could have run for longest, in seconds; 0 when none waits. */
  readonly oldestWaitSeconds: number;
  /** How long a job that is submitted now would wait, in seconds. */
  readonly backlogSeconds: number;
  /** Alive and not draining. */
  readonly liveWorkers: number;
  /** Of those that live: jobs they can run at once, together. */
  readonly liveSlots: number;
  /** Webhooks whose try is overdue, and the longest of these waits in seconds. */
  readonly webhooksOverdue: number;
  readonly webhooksOverdueSeconds: number;
}

/** Jobs by which the length of the next one is guessed. */
const RECENT = 100;

// A job that waits for its time is found by the index of times; there are few beside those that are due.
const GAUGES = `
SELECT
  coalesce((SELECT jsonb_object_agg(q.priority, q.n) FROM (
    SELECT j.priority, count(*) AS n FROM jobs j WHERE ${IS_QUEUED} AND ${IS_DUE} GROUP BY j.priority) q), '{}') AS depth,
  greatest(0, coalesce((SELECT extract(epoch FROM now() - min(j.run_at)) FROM jobs j
    WHERE ${IS_QUEUED} AND ${IS_DUE}), 0))::double precision AS oldest,
  coalesce((SELECT avg(extract(epoch FROM r.completed_at - r.started_at)) FROM (
    SELECT e.completed_at, e.started_at FROM jobs e WHERE e.completed_at IS NOT NULL AND e.started_at IS NOT NULL
    ORDER BY e.completed_at DESC LIMIT ${RECENT}) r), 0)::double precision AS job_seconds,
  (SELECT jsonb_build_object('workers', count(*), 'slots', coalesce(sum(w.slots), 0)) FROM workers w
    WHERE w.role <> 'api' AND w.left_at IS NULL AND NOT w.draining AND NOT (${WORKER_IS_BEHIND})) AS live,
  (SELECT jsonb_build_object('n', count(*), 'seconds', coalesce(extract(epoch FROM now() - min(d.next_at)), 0))
    FROM webhook_deliveries d WHERE d.status = 'pending' AND d.next_at <= now()) AS webhooks`;

/** `ticks`: after how many without a heartbeat a worker is dead. */
export async function readFleetGauges(sql: SqlRunner, ticks: number): Promise<FleetGauges> {
  const [row] = await sql.query<{
    depth: Readonly<Record<string, number>>;
    oldest: number;
    job_seconds: number;
    live: { workers: number; slots: number };
    webhooks: { n: number; seconds: number };
  }>(GAUGES, [ticks]);
  const depthOf = (priority: Priority): number => row?.depth[priorityNumber(priority)] ?? 0;
  const queueDepth = { high: depthOf("high"), normal: depthOf("normal"), low: depthOf("low") };
  const waiting = PRIORITIES.reduce((sum, priority) => sum + queueDepth[priority], 0);
  const oldestWaitSeconds = row?.oldest ?? 0;
  const liveSlots = row?.live.slots ?? 0;
  // By the work that waits, shared out to the slots there are; where that is little and a job waits all the same, by that.
  const workSeconds = (waiting * (row?.job_seconds ?? 0)) / Math.max(1, liveSlots);
  return {
    queueDepth,
    oldestWaitSeconds,
    backlogSeconds: Math.max(oldestWaitSeconds, workSeconds),
    ...{ liveWorkers: row?.live.workers ?? 0, liveSlots },
    webhooksOverdue: row?.webhooks.n ?? 0,
    webhooksOverdueSeconds: row?.webhooks.seconds ?? 0,
  };
}

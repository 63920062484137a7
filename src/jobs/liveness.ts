/**
 * Who is alive, counted in ticks that only the database counts.
 *
 * Any replica's reconciler advances the tick, at most once per interval; each worker's heartbeat copies it into its row.
 * A worker that is N ticks behind is dead. An outage of Postgres, a jump of a clock or a restarted fleet adds no tick, so
 * none of these reaps a worker that lives.
 */
import { json, type SqlRunner } from "../database/sql.ts";
import { TICK_IS_DUE, TICKS_TO_ADD } from "./guards.ts";
import { priorityNumber } from "./store.ts";
import type { JobId, JobType, Priority, WorkerId } from "./types.ts";

export { giveBack } from "./finish.ts";
export { type ReapedJob, reapDeadWorkers } from "./reap.ts";

export interface NewWorker {
  /** New at each start of a process. */
  readonly workerId: WorkerId;
  readonly role: "api" | "worker" | "combined";
  /** What it serves; workers of one class are interchangeable. */
  readonly class?: string;
  readonly version: string;
  readonly slots: number;
  /** Null: all. */
  readonly jobTypes?: readonly JobType[] | null;
  readonly priorities?: readonly Priority[] | null;
  readonly capabilities?: unknown;
}

/** Registers a worker at the current tick; again with the same id it updates what the worker says of itself. */
export async function registerWorker(sql: SqlRunner, worker: NewWorker): Promise<void> {
  await sql.query(
    `INSERT INTO workers (id, role, class, version, slots, job_types, priorities, capabilities, seen_tick)
     SELECT $1, $2, $3, $4, $5::integer, $6::text[], $7::smallint[], $8::jsonb, l.tick FROM liveness l
     ON CONFLICT (id) DO UPDATE SET role = excluded.role, class = excluded.class, version = excluded.version,
       slots = excluded.slots, job_types = excluded.job_types, priorities = excluded.priorities,
       capabilities = excluded.capabilities, seen_tick = excluded.seen_tick`,
    [
      worker.workerId,
      worker.role,
      worker.class ?? "default",
      worker.version,
      worker.slots,
      worker.jobTypes ?? null,
      worker.priorities === undefined || worker.priorities === null ? null : worker.priorities.map(priorityNumber),
      json(worker.capabilities ?? {}),
    ],
  );
}

export interface HeldJob {
  readonly jobId: JobId;
  readonly leaseToken: number;
  readonly cancelRequested: boolean;
}

export interface Heartbeat {
  /** False: the worker's row is missing or says that it left; it holds nothing and has to register under a new id. */
  readonly accepted: boolean;
  readonly tick: number;
  /** What the rows say this worker runs: more than it knows of (a lost reply) or less (it was reaped). */
  readonly held: readonly HeldJob[];
}

const HEARTBEAT = `
WITH beat AS (
  UPDATE workers w SET seen_tick = l.tick, draining = coalesce($2::boolean, w.draining)
  FROM liveness l WHERE w.id = $1 AND w.left_at IS NULL
  RETURNING w.id)
SELECT EXISTS (SELECT FROM beat) AS accepted, (SELECT l.tick FROM liveness l) AS tick, coalesce((
  SELECT jsonb_agg(jsonb_build_object('jobId', j.id, 'leaseToken', j.lease_token,
    'cancelRequested', j.cancel_requested_at IS NOT NULL) ORDER BY j.id)
  FROM jobs j WHERE j.worker_id = $1 AND j.status = 'processing'), '[]'::jsonb) AS held`;

/** One statement per worker and interval, whatever it runs. */
export async function heartbeat(
  sql: SqlRunner,
  { workerId, draining }: { readonly workerId: WorkerId; readonly draining?: boolean },
): Promise<Heartbeat> {
  const [row] = await sql.query<{ accepted: boolean; tick: number; held: HeldJob[] }>(HEARTBEAT, [
    workerId,
    draining ?? null,
  ]);
  return { accepted: row?.accepted === true, tick: row?.tick ?? 0, held: row?.held ?? [] };
}

const ADVANCE_TICK = `
WITH advanced AS (
  UPDATE liveness l SET at = clock_timestamp(), tick = l.tick + ${TICKS_TO_ADD}
  WHERE ${TICK_IS_DUE} OR l.at > clock_timestamp() + $1::double precision * interval '1 millisecond'
  RETURNING l.tick)
SELECT tick FROM advanced WHERE tick > (SELECT l.tick FROM liveness l)`;

/**
 * Adds one to the tick if an interval has passed since the last; null when it has not. After an outage of any length it
 * adds one, and after a clock that was set back it only moves the time of the last tick.
 */
export async function advanceTick(sql: SqlRunner, intervalMs: number): Promise<number | null> {
  const [row] = await sql.query<{ tick: number }>(ADVANCE_TICK, [intervalMs]);
  return row?.tick ?? null;
}

/** Records that a worker has gone for good; whatever it still holds is reaped at once. Its row stays, for its class. */
export async function workerLeft(sql: SqlRunner, workerId: WorkerId): Promise<boolean> {
  const rows = await sql.query(
    "UPDATE workers SET left_at = now(), draining = true WHERE id = $1 AND left_at IS NULL RETURNING id",
    [workerId],
  );
  return rows.length > 0;
}

/** Records as left those that have been silent for `ticksBehind` and hold nothing. Returns how many. */
export async function retireSilentWorkers(sql: SqlRunner, ticksBehind: number): Promise<number> {
  const rows = await sql.query(
    `UPDATE workers w SET left_at = now() FROM liveness l
     WHERE w.left_at IS NULL AND w.seen_tick <= l.tick - $1::bigint
       AND NOT EXISTS (SELECT FROM jobs j WHERE j.worker_id = w.id AND j.status = 'processing')
     RETURNING w.id`,
    [ticksBehind],
  );
  return rows.length;
}

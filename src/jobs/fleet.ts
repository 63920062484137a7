/**
 * The workers as a whole: what any class of them was last known to do, and what those that live serve.
 *
 * The rows of workers that left are kept per class, so a fleet that is scaled to zero still accepts work, which waits.
 */
import type { SqlRunner } from "../database/sql.ts";
import { uniteCapabilities } from "../media/capabilities-union.ts";
import type { Capabilities } from "../media/types.ts";
import { IS_PROCESSING } from "./guards.ts";
import { type Kind, kindOf } from "./kinds.ts";
import { priorityNumber } from "./store.ts";
import type { Job, JobType, Priority } from "./types.ts";

/** What one worker that lives serves. */
interface Serving {
  readonly jobTypes: readonly JobType[] | null;
  readonly priorities: readonly number[] | null;
  readonly kind: string;
}

export interface Fleet {
  /** Null before the first worker has said what it can do. */
  readonly capabilities: Capabilities | null;
  /** By name; those that left for good are forgotten when nothing names them. */
  readonly kinds: readonly Kind[];
  readonly live: readonly Serving[];
}

const CLASSES_MAX = 200;
const LIVE_MAX = 1_000;

const FLEET = `
SELECT (SELECT coalesce(jsonb_agg(c.capabilities), '[]'::jsonb) FROM (
    SELECT DISTINCT ON (w.class) w.capabilities FROM workers w
    WHERE w.role <> 'api' AND w.capabilities <> '{}'::jsonb
    ORDER BY w.class, w.id DESC LIMIT ${CLASSES_MAX}) c) AS capabilities,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('jobTypes', s.job_types, 'priorities', s.priorities,
      'kind', s.kind)), '[]'::jsonb) FROM (
    SELECT DISTINCT w.job_types, w.priorities, split_part(w.class, '/', 3) AS kind FROM workers w, liveness l
    WHERE w.role <> 'api' AND w.left_at IS NULL AND NOT w.draining AND w.seen_tick > l.tick - $1::bigint
    LIMIT ${LIVE_MAX}) s) AS live`;

/** `ticks`: after how many without a heartbeat a worker is dead. */
export async function readFleet(sql: SqlRunner, ticks: number): Promise<Fleet> {
  const [row] = await sql.query<{ capabilities: Capabilities[]; live: Serving[] }>(FLEET, [ticks]);
  const all = row?.capabilities ?? [];
  const kinds = new Map(all.map((capabilities) => [kindOf(capabilities), capabilities]));
  return {
    capabilities: uniteCapabilities(all),
    kinds: [...kinds]
      .map(([name, capabilities]) => ({ name, capabilities }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    live: row?.live ?? [],
  };
}

/** What a queued job is told that nobody alive could run. */
export const NOBODY_SERVES = "No running worker serves jobs of this type and priority; the job waits until one does.";
export const NOBODY_CAN =
  "No running worker has the encoder, filter or accelerator that this job needs; the job waits until one does.";

/** Why no worker that lives would take the job; null when one would. */
export function whyUnserved(
  { live }: Pick<Fleet, "live">,
  { type, priority, unfit }: Pick<Job, "type" | "priority" | "unfit">,
): string | null {
  const number = priorityNumber(priority);
  const serving = live.filter(
    ({ jobTypes, priorities }) => (jobTypes?.includes(type) ?? true) && (priorities?.includes(number) ?? true),
  );
  if (serving.length === 0) return NOBODY_SERVES;
  return serving.some(({ kind }) => !unfit.includes(kind)) ? null : NOBODY_CAN;
}

/** Workers of one class are interchangeable: they serve the same and have the same programs and hardware. */
export function workerClass(worker: {
  readonly jobTypes: readonly JobType[];
  readonly priorities: readonly Priority[];
  readonly capabilities: Capabilities;
}): string {
  const { jobTypes, priorities, capabilities } = worker;
  return [...[jobTypes, priorities].map((words) => [...words].sort().join("+")), kindOf(capabilities)].join("/");
}

/** Forgets the rows of workers that left, but for the newest of each class and those that jobs still name. */
export async function forgetWorkers(sql: SqlRunner, limit: number): Promise<number> {
  const rows = await sql.query(
    `DELETE FROM workers w WHERE w.id IN (
       SELECT o.id FROM workers o WHERE o.left_at < now() - interval '1 hour'
         AND EXISTS (SELECT FROM workers n WHERE n.class = o.class AND n.id > o.id)
         AND NOT EXISTS (SELECT FROM jobs j WHERE ${IS_PROCESSING} AND j.worker_id = o.id)
       LIMIT $1::integer) RETURNING w.id`,
    [limit],
  );
  return rows.length;
}

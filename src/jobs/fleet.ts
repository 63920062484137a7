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
SELECT (SELECT coalesce(jsonb_agg(jsonb_build_object('name', c.name,
      'capabilities', CASE WHEN c.name = ANY ($2::text[]) THEN NULL ELSE c.capabilities END)), '[]'::jsonb) FROM (
    SELECT DISTINCT ON (w.class) w.id || '/' || w.class AS name, w.capabilities FROM workers w
    WHERE w.role <> 'api' AND w.capabilities <> '{}'::jsonb
    ORDER BY w.class, w.id DESC LIMIT ${CLASSES_MAX}) c) AS classes,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('jobTypes', s.job_types, 'priorities', s.priorities,
      'kind', s.kind)), '[]'::jsonb) FROM (
    SELECT DISTINCT w.job_types, w.priorities, split_part(w.class, '/', 3) AS kind FROM workers w, liveness l
    WHERE w.role <> 'api' AND w.left_at IS NULL AND NOT w.draining AND w.seen_tick > l.tick - $1::bigint
    LIMIT ${LIVE_MAX}) s) AS live`;

interface FleetRow {
  /** The newest worker of each, by its id and class; without what was fetched before. */
  readonly classes: readonly { readonly name: string; readonly capabilities: Capabilities | null }[];
  readonly live: readonly Serving[];
}

function toFleet(all: readonly Capabilities[], live: Fleet["live"]): Fleet {
  const kinds = new Map(all.map((capabilities) => [kindOf(capabilities), capabilities]));
  return {
    capabilities: uniteCapabilities(all),
    kinds: [...kinds]
      .map(([name, capabilities]) => ({ name, capabilities }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    live,
  };
}

/**
 * What reads the fleet, and reads it again for little: what a worker can do is a long text that hardly ever changes, so
 * only that of new ones is fetched. `ticks`: after how many without a heartbeat a worker is dead.
 */
export function makeFleetReader(sql: SqlRunner, ticks: number): () => Promise<Fleet> {
  let known = new Map<string, Capabilities>();
  let fleet: Fleet | null = null;
  return async () => {
    const [row] = await sql.query<FleetRow>(FLEET, [ticks, [...known.keys()]]);
    const { classes = [], live = [] } = row ?? {};
    const isKnown = fleet !== null && classes.length === known.size && classes.every(({ name }) => known.has(name));
    if (fleet !== null && isKnown) fleet = { ...fleet, live };
    else {
      known = new Map(
        classes.flatMap(({ name, capabilities }) => {
          const of = capabilities ?? known.get(name);
          return of === undefined ? [] : [[name, of]];
        }),
      );
      fleet = toFleet([...known.values()], live);
    }
    return fleet;
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

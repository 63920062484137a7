/**
 * Samples: one row per replica and minute, of the queue as it saw it and of what it did itself. They are what an
 * administrator can look back at without a Prometheus; a replica that was away simply has none.
 */
import type { SqlRunner } from "../database/sql.ts";
import type { Figures } from "../telemetry/figures.ts";
import type { FleetGauges } from "./gauges.ts";
import type { Priority } from "./types.ts";

/** What a replica did since its last sample; slots are what it has and uses now. */
export interface ReplicaFigures extends Figures {
  readonly slots: number;
}

export interface SystemSample extends ReplicaFigures {
  readonly queueDepth: Readonly<Record<Priority, number>>;
  readonly oldestWaitSeconds: number;
}

/** Of all replicas together, for one stretch of time. */
export interface HistoryPoint extends SystemSample {
  /** When the stretch begins. */
  readonly at: Date;
  readonly replicas: number;
}

export const HISTORY_HOURS_MAX = 168;
/** So many points come back, each an hour's minute, two hours' two minutes and so on. */
const POINTS = 60;

export async function recordSample(
  sql: SqlRunner,
  replicaId: string,
  { queueDepth, oldestWaitSeconds }: Pick<FleetGauges, "queueDepth" | "oldestWaitSeconds">,
  figures: ReplicaFigures,
): Promise<void> {
  const sample: SystemSample = { ...figures, queueDepth, oldestWaitSeconds };
  await sql.query("INSERT INTO system_metrics (worker_id, sample) VALUES ($1, $2::jsonb)", [
    replicaId,
    JSON.stringify(sample),
  ]);
}

const figure = (name: keyof SystemSample): string => `(m.sample ->> '${name}')::double precision`;
const depth = (priority: Priority): string => `(m.sample -> 'queueDepth' ->> '${priority}')::integer`;

// The queue is one and every replica saw it; slots and work are each one's own.
const HISTORY = `
WITH own AS (
  SELECT date_bin(make_interval(secs => $1::integer * 3600.0 / ${POINTS}), m.at, timestamptz 'epoch') AS at,
    max(${depth("high")}) AS high, max(${depth("normal")}) AS normal, max(${depth("low")}) AS low,
    max(${figure("oldestWaitSeconds")}) AS oldest, avg(${figure("slots")}) AS slots,
    avg(${figure("slotsInUse")}) AS in_use, avg(${figure("ffmpegSpeedRatio")}) AS speed,
    sum(${figure("jobsCompleted")}) AS completed, sum(${figure("jobsFailed")}) AS failed,
    sum(${figure("requests")}) AS requests, sum(${figure("requestsFailed")}) AS requests_failed
  FROM system_metrics m WHERE m.at > now() - make_interval(hours => $1::integer) GROUP BY 1, m.worker_id)
SELECT o.at, count(*)::integer AS replicas,
  jsonb_build_object('high', max(o.high), 'normal', max(o.normal), 'low', max(o.low)) AS "queueDepth",
  max(o.oldest) AS "oldestWaitSeconds", sum(o.slots) AS slots, sum(o.in_use) AS "slotsInUse",
  avg(o.speed) AS "ffmpegSpeedRatio", sum(o.completed) AS "jobsCompleted", sum(o.failed) AS "jobsFailed",
  sum(o.requests) AS requests, sum(o.requests_failed) AS "requestsFailed"
FROM own o GROUP BY o.at ORDER BY o.at`;

/** Oldest first, at most 61 points; `hours` from 1 to 168. */
export function readHistory(sql: SqlRunner, hours: number): Promise<readonly HistoryPoint[]> {
  return sql.query<HistoryPoint & object>(HISTORY, [hours]);
}

/** What nobody can ask for any more. Resolves to how many went. */
export async function deleteOldSamples(sql: SqlRunner, { limit }: { readonly limit: number }): Promise<number> {
  const rows = await sql.query(
    `DELETE FROM system_metrics m WHERE (m.worker_id, m.at) IN (
       SELECT o.worker_id, o.at FROM system_metrics o
       WHERE o.at < now() - make_interval(hours => ${HISTORY_HOURS_MAX}) LIMIT $1::integer) RETURNING m.at`,
    [limit],
  );
  return rows.length;
}

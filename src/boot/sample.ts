/** The gauges that only the database knows, read at a scrape and at most once in a few seconds. */
import type { Sql } from "../database/sql.ts";
import { queueStats } from "../jobs/ready.ts";
import type { SampledState } from "../telemetry/metrics.ts";

const KEEP_MS = 5_000;

async function sample(sql: Sql): Promise<SampledState> {
  const [stats, storage] = await Promise.all([
    queueStats(sql),
    sql.query<{ backend: string; bytes: number }>(
      `SELECT backend, sum(size_bytes)::double precision AS bytes FROM job_outputs WHERE deleted_at IS NULL GROUP BY backend`,
    ),
  ]);
  const { high, normal, low } = stats.byPriority;
  return {
    queueDepth: { high: high.ready, normal: normal.ready, low: low.ready },
    queueBacklogSeconds: Math.max(high.oldestWaitSeconds, normal.oldestWaitSeconds, low.oldestWaitSeconds),
    storageBytes: Object.fromEntries(storage.map(({ backend, bytes }) => [backend, bytes])),
  };
}

export function makeSampler(sql: Sql): () => Promise<SampledState> {
  let kept: { readonly untilMs: number; readonly state: Promise<SampledState> } | null = null;
  return () => {
    const nowMs = performance.now();
    if (kept === null || kept.untilMs <= nowMs) kept = { untilMs: nowMs + KEEP_MS, state: sample(sql) };
    return kept.state;
  };
}

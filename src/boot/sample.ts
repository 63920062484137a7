/** The gauges that only the database knows, read at a scrape and at most once in a few seconds. */
import type { Sql } from "../database/sql.ts";
import { queueStats } from "../jobs/ready.ts";
import { storedBytes } from "../jobs/storage-usage.ts";
import type { SampledState } from "../telemetry/metrics.ts";

const KEEP_MS = 5_000;

async function sample(sql: Sql): Promise<SampledState> {
  const [stats, storage] = await Promise.all([queueStats(sql), storedBytes(sql)]);
  const { high, normal, low } = stats.byPriority;
  return {
    queueDepth: { high: high.ready, normal: normal.ready, low: low.ready },
    queueBacklogSeconds: Math.max(high.oldestWaitSeconds, normal.oldestWaitSeconds, low.oldestWaitSeconds),
    storageBytes: Object.fromEntries(storage.map(({ backend, sizeBytes }) => [backend, sizeBytes])),
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

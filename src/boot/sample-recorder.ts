/** What this replica notes of itself and of the queue, for `/admin/stats`. */
import type { SqlRunner } from "../database/sql.ts";
import { readFleetGauges } from "../jobs/gauges.ts";
import { recordSample } from "../jobs/system-metrics.ts";
import type { CountedMetrics } from "../telemetry/figures.ts";

export interface SampleRecorderParts {
  readonly sql: SqlRunner;
  readonly metrics: Pick<CountedMetrics, "takeFigures">;
  readonly replicaId: string;
  /** Jobs that it runs at once. */
  readonly slots: number;
  readonly reapAfterTicks: number;
}

/** Figures are taken when the database has answered: while it is away they add up. */
export function makeSampleRecorder({ sql, metrics, replicaId, slots, reapAfterTicks }: SampleRecorderParts) {
  return async (): Promise<void> => {
    const gauges = await readFleetGauges(sql, reapAfterTicks);
    await recordSample(sql, replicaId, gauges, { ...metrics.takeFigures(), slots });
  };
}

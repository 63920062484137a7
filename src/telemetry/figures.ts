/**
 * What this process has done since it was asked last: for the samples that are kept in the database, which whoever has no
 * Prometheus can look back at. Counted beside the metrics, which only ever grow.
 */
import type { Metrics } from "./metrics.ts";

export interface Figures {
  readonly slotsInUse: number;
  readonly jobsCompleted: number;
  readonly jobsFailed: number;
  /** Those apart that only ask how the service is. */
  readonly requests: number;
  /** Answered with 5xx. */
  readonly requestsFailed: number;
  /** Media seconds per wall second, the mean of the FFmpeg processes that ended well; null when none did. */
  readonly ffmpegSpeedRatio: number | null;
}

export interface CountedMetrics extends Metrics {
  /** Counts begin anew; slots in use are what they are. */
  takeFigures(): Figures;
}

const ASKS_HOW_IT_IS = /^(health|metrics)/;

export function withFigures(metrics: Metrics): CountedMetrics {
  const begin = () => ({ jobsCompleted: 0, jobsFailed: 0, requests: 0, requestsFailed: 0, speeds: 0, programs: 0 });
  let counts = begin();
  let slotsInUse = 0;
  return {
    ...metrics,
    jobFinished(event) {
      if (event.status === "completed") counts.jobsCompleted += 1;
      if (event.status === "failed") counts.jobsFailed += 1;
      metrics.jobFinished(event);
    },
    requestFinished(event) {
      metrics.requestFinished(event);
      // As for the service levels: a health check that answers 503 does its work.
      if (ASKS_HOW_IT_IS.test(event.route)) return;
      counts.requests += 1;
      if (event.status >= 500) counts.requestsFailed += 1;
    },
    ffmpegFinished(event) {
      counts.speeds += event.speedRatio;
      counts.programs += 1;
      metrics.ffmpegFinished(event);
    },
    workerActive(count) {
      slotsInUse = count;
      metrics.workerActive(count);
    },
    takeFigures() {
      const { speeds, programs, ...taken } = counts;
      counts = begin();
      return { ...taken, slotsInUse, ffmpegSpeedRatio: programs === 0 ? null : speeds / programs };
    },
  };
}

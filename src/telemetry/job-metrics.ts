/**
 * What this process counts of jobs. Every series is there from the start, at zero: of one that appears with its first event
 * Prometheus sees no increase, and no alert would fire for the first job that fails.
 */
import { JOB_TYPES, PRIORITIES } from "../jobs/types.ts";
import { ALL_FAILURES, failureLabels } from "./faults.ts";
import type { FinalStatus, Metrics } from "./metrics.ts";
import { Counter, Gauge, Histogram, type Registry } from "./prom-client.ts";

const STATUSES: readonly FinalStatus[] = ["completed", "failed", "cancelled"];
const JOB_SECONDS = [0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1_800, 3_600, 7_200, 21_600, 86_400];
const WAIT_SECONDS = [0.005, 0.02, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 14_400];
const SPEED_RATIOS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128];

/** `slots`: null where no jobs run. */
export function makeJobMetrics(registry: Registry, slots: number | null) {
  const ended = addEnds(registry);
  const registers = [registry];
  const retries = new Counter({
    name: "rendiff_job_retries_total",
    help: "Attempts that ended and were followed by another, by the kind of error.",
    labelNames: ["reason"],
    registers,
  });
  for (const { reason } of ALL_FAILURES) retries.inc({ reason }, 0);
  retries.inc({ reason: "worker.lost" }, 0);
  const wait = new Histogram({
    name: "rendiff_queue_wait_seconds",
    help: "From the moment a job could run to its claim.",
    labelNames: ["priority"],
    buckets: WAIT_SECONDS,
    registers,
  });
  for (const priority of PRIORITIES) wait.zero({ priority });
  const lost = new Counter({ name: "rendiff_leases_lost_total", help: "Leases lost while an attempt ran.", registers });
  const active = new Gauge({ name: "rendiff_worker_active", help: "Slots of this worker in use.", registers });
  new Gauge({ name: "rendiff_worker_slots", help: "Jobs this worker can run at once.", registers }).set(slots ?? 0);
  const speed = new Histogram({
    name: "rendiff_ffmpeg_speed_ratio",
    help: "Media seconds per wall second of FFmpeg processes that ended well.",
    buckets: SPEED_RATIOS,
    registers,
  });
  return {
    ...ended,
    jobRetried: (reason) => retries.inc({ reason }),
    queueWaited: ({ priority, seconds }) => wait.observe({ priority }, Math.max(0, seconds)),
    leaseLost: () => lost.inc(),
    workerActive: (count) => active.set(count),
    ffmpegFinished: ({ speedRatio }) => speed.observe(speedRatio),
  } satisfies Partial<Metrics>;
}

function addEnds(registry: Registry) {
  const registers = [registry];
  const jobs = new Counter({
    name: "rendiff_jobs_total",
    help: "Jobs that ended.",
    labelNames: ["status", "type"],
    registers,
  });
  const failures = new Counter({
    name: "rendiff_job_failures_total",
    help: "Jobs that failed, by whose fault it was and the kind of error.",
    labelNames: ["type", "fault", "reason"],
    registers,
  });
  const duration = new Histogram({
    name: "rendiff_job_duration_seconds",
    help: "From a job's first start to its end.",
    labelNames: ["type"],
    buckets: JOB_SECONDS,
    registers,
  });
  for (const type of JOB_TYPES) {
    for (const status of STATUSES) jobs.inc({ status, type }, 0);
    for (const labels of ALL_FAILURES) failures.inc({ type, ...labels }, 0);
    duration.zero({ type });
  }
  return {
    jobFinished: ({ status, type, error, durationSeconds }) => {
      jobs.inc({ status, type });
      if (status === "failed") failures.inc({ type, ...failureLabels(error) });
      if (durationSeconds !== null) duration.observe({ type }, Math.max(0, durationSeconds));
    },
  } satisfies Partial<Metrics>;
}

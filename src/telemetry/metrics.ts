/**
 * Metrics: one function per business event, so that names and labels are decided here and nowhere else. No label holds
 * an id, a path, or anything a client can choose freely; each has a handful of values.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { ErrorKind, JobErrorKind } from "../errors.ts";
import { type JobStatus, type JobType, PRIORITIES, type Priority } from "../jobs/types.ts";
import { addProcessMetrics } from "./process-metrics.ts";

export type FinalStatus = Extract<JobStatus, "completed" | "failed" | "cancelled">;
/** `worker.lost`: its worker fell silent and the job was reaped. */
export type RetryReason = JobErrorKind | "internal" | "worker.lost";

/** What only the database knows, asked for at each scrape. */
export interface SampledState {
  /** Jobs that wait. */
  readonly queueDepth: Readonly<Record<Priority, number>>;
  /** How long a job that is submitted now would wait, in seconds. */
  readonly queueBacklogSeconds: number;
  /** What jobs' outputs occupy, by backend. */
  readonly storageBytes: Readonly<Record<string, number>>;
}

export interface Metrics {
  /** `durationSeconds`: from its first start to its end; null when it never ran. */
  jobFinished(event: {
    status: FinalStatus;
    type: JobType;
    /** Of a job that failed. */
    error: ErrorKind | null;
    durationSeconds: number | null;
  }): void;
  /** An attempt ended and another will follow. */
  jobRetried(reason: RetryReason): void;
  /** A job left the queue; the time since it could have. */
  queueWaited(seconds: number): void;
  leaseLost(): void;
  /** Slots in use now. */
  workerActive(count: number): void;
  /** An FFmpeg process ended well; media seconds per wall second. */
  ffmpegFinished(event: { speedRatio: number }): void;
  /** A webhook's try ended: it was taken, will be tried again, or was given up. */
  webhookTried(outcome: "delivered" | "retried" | "failed"): void;
  storageTransferred(event: { backend: string; direction: "download" | "upload"; bytes: number }): void;
  /** `outcome`: ok, or the kind of error. */
  storageCalled(event: { backend: string; operation: string; outcome: string; seconds: number }): void;
  /** `route` is a rule's id, never the path as it was asked for. */
  requestFinished(event: { method: string; route: string; status: number; seconds: number }): void;
  /** The text format of Prometheus. */
  render(): Promise<string>;
  readonly contentType: string;
}

export interface MetricsOptions {
  /** Rejecting costs these gauges for one scrape, nothing else. */
  collect?(): Promise<SampledState>;
  onError?(error: unknown): void;
}

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const JOB_SECONDS = [0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1_800, 3_600, 7_200, 21_600, 86_400];
const WAIT_SECONDS = [0.005, 0.02, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 14_400];
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const SPEED_RATIOS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128];

export function makeMetrics({ collect, onError }: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  addProcessMetrics(registry);
  const sampled = collect === undefined ? null : makeSampler(registry, collect, onError);
  return {
    ...makeJobMetrics(registry),
    ...makeTrafficMetrics(registry),
    async render() {
      await sampled?.();
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}

function makeJobMetrics(registry: Registry) {
  const registers = [registry];
  const jobs = new Counter({
    name: "rendiff_jobs_total",
    help: "Jobs that ended.",
    labelNames: ["status", "type"],
    registers,
  });
  const duration = new Histogram({
    name: "rendiff_job_duration_seconds",
    help: "From a job's first start to its end.",
    labelNames: ["type"],
    buckets: JOB_SECONDS,
    registers,
  });
  const retries = new Counter({
    name: "rendiff_job_retries_total",
    help: "Attempts that ended and were followed by another, by the kind of error.",
    labelNames: ["reason"],
    registers,
  });
  const wait = new Histogram({
    name: "rendiff_queue_wait_seconds",
    help: "From the moment a job could run to its claim.",
    buckets: WAIT_SECONDS,
    registers,
  });
  const lost = new Counter({ name: "rendiff_leases_lost_total", help: "Leases lost while an attempt ran.", registers });
  const active = new Gauge({ name: "rendiff_worker_active", help: "Slots of this worker in use.", registers });
  const speed = new Histogram({
    name: "rendiff_ffmpeg_speed_ratio",
    help: "Media seconds per wall second of FFmpeg processes that ended well.",
    buckets: SPEED_RATIOS,
    registers,
  });
  return {
    jobFinished: ({ status, type, durationSeconds }) => {
      jobs.inc({ status, type });
      if (durationSeconds !== null) duration.observe({ type }, durationSeconds);
    },
    jobRetried: (reason) => retries.inc({ reason }),
    queueWaited: (seconds) => wait.observe(Math.max(0, seconds)),
    leaseLost: () => lost.inc(),
    workerActive: (count) => active.set(count),
    ffmpegFinished: ({ speedRatio }) => speed.observe(speedRatio),
  } satisfies Partial<Metrics>;
}

function makeTrafficMetrics(registry: Registry) {
  const registers = [registry];
  const requests = new Counter({
    name: "rendiff_api_requests_total",
    help: "Requests answered.",
    labelNames: ["method", "route", "status"],
    registers,
  });
  const duration = new Histogram({
    name: "rendiff_api_request_duration_seconds",
    help: "From a request's arrival to its answer's first byte.",
    labelNames: ["method", "route"],
    buckets: REQUEST_SECONDS,
    registers,
  });
  const transferred = new Counter({
    name: "rendiff_storage_transfer_bytes_total",
    help: "Bytes read from (download) and written to (upload) a storage backend.",
    labelNames: ["backend", "direction"],
    registers,
  });
  const calls = new Histogram({
    name: "rendiff_storage_request_seconds",
    help: "How long a call to a storage backend took.",
    labelNames: ["backend", "operation", "outcome"],
    buckets: REQUEST_SECONDS,
    registers,
  });
  const webhooks = new Counter({
    name: "rendiff_webhook_deliveries_total",
    help: "Tries to deliver a webhook, by what became of them.",
    labelNames: ["outcome"],
    registers,
  });
  return {
    webhookTried: (outcome) => webhooks.inc({ outcome }),
    requestFinished: ({ method: asked, route, status, seconds }) => {
      // A client may invent methods.
      const method = METHODS.has(asked) ? asked : "other";
      requests.inc({ method, route, status });
      duration.observe({ method, route }, seconds);
    },
    storageCalled: ({ seconds, ...labels }) => calls.observe(labels, seconds),
    storageTransferred: ({ backend, direction, bytes }) => transferred.inc({ backend, direction }, bytes),
  } satisfies Partial<Metrics>;
}

function makeSampler(
  registry: Registry,
  collect: () => Promise<SampledState>,
  onError: ((error: unknown) => void) | undefined,
): () => Promise<void> {
  const registers = [registry];
  const depth = new Gauge({
    name: "rendiff_queue_depth",
    help: "Jobs that wait.",
    labelNames: ["priority"],
    registers,
  });
  const backlog = new Gauge({
    name: "rendiff_queue_backlog_seconds",
    help: "How long a job that is submitted now would wait: what an autoscaler scales on.",
    labelNames: [],
    registers,
  });
  const stored = new Gauge({
    name: "rendiff_storage_bytes",
    help: "What jobs' outputs occupy.",
    labelNames: ["backend"],
    registers,
  });
  return async () => {
    const state = await collect().catch((error: unknown) => {
      onError?.(error);
      return null;
    });
    // Absent is honest when the database cannot be asked; the last known figure is not.
    depth.reset();
    backlog.remove();
    stored.reset();
    if (state === null) return;
    for (const priority of PRIORITIES) depth.set({ priority }, state.queueDepth[priority]);
    backlog.set(state.queueBacklogSeconds);
    for (const [backend, bytes] of Object.entries(state.storageBytes)) stored.set({ backend }, bytes);
  };
}

/**
 * Metrics: one function per business event, so that names and labels are decided here and nowhere else. No label holds
 * an id, a path, or anything a client can choose freely; each has a handful of values.
 */
import type { ErrorKind, JobErrorKind } from "../errors.ts";
import type { FleetGauges } from "../jobs/gauges.ts";
import type { JobStatus, JobType, Priority } from "../jobs/types.ts";
import { makeJobMetrics } from "./job-metrics.ts";
import { addProcessMetrics } from "./process-metrics.ts";
import { Gauge, Registry } from "./prom-client.ts";
import { addSampledMetrics } from "./sampled-metrics.ts";
import { makeTrafficMetrics } from "./traffic-metrics.ts";

export type FinalStatus = Extract<JobStatus, "completed" | "failed" | "cancelled">;
/** `worker.lost`: its worker fell silent and the job was reaped. */
export type RetryReason = JobErrorKind | "internal" | "worker.lost";

/** What only the database knows: the same in every replica. */
export interface FleetState extends FleetGauges {
  /** What jobs' outputs occupy, by backend. */
  readonly storageBytes: Readonly<Record<string, number>>;
}

export interface DiskState {
  readonly freeBytes: number;
  readonly sizeBytes: number;
}

export type Dependency = "database" | "redis";

/** What is looked at for a scrape. */
export interface SampledState {
  /** Null when the database could not say. */
  readonly fleet: FleetState | null;
  /** Whether it answers this process. */
  readonly dependencies: Readonly<Partial<Record<Dependency, boolean>>>;
  /** By what lies there. */
  readonly disks: Readonly<Record<string, DiskState>>;
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
  queueWaited(event: { priority: Priority; seconds: number }): void;
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
  /** Refused before anything was done for it: counted, and of no duration. */
  requestTurnedAway(event: { method: string; status: number }): void;
  requestFinished(event: { method: string; route: string; status: number; seconds: number }): void;
  /** The text format of Prometheus. */
  render(): Promise<string>;
  readonly contentType: string;
}

export interface MetricsOptions {
  /** Asked at each scrape, which waits for it. */
  collect?(): Promise<SampledState>;
  readonly build?: { readonly version: string; readonly role: string };
  /** Jobs that this process runs at once; null where none run. */
  readonly slots?: number | null;
}

export function makeMetrics({ collect, build, slots = null }: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  addProcessMetrics(registry);
  if (build !== undefined) addBuild(registry, build);
  const show = collect === undefined ? null : addSampledMetrics(registry);
  return {
    ...makeJobMetrics(registry, slots),
    ...makeTrafficMetrics(registry),
    async render() {
      if (collect !== undefined) show?.(await collect());
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}

function addBuild(registry: Registry, build: { readonly version: string; readonly role: string }): void {
  new Gauge({
    name: "rendiff_build_info",
    help: "Always 1; its labels say which version runs and in which role.",
    labelNames: ["version", "role"],
    registers: [registry],
  }).set(build, 1);
}

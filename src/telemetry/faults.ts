/**
 * Whose fault a failed job is: what the service level promises is that jobs do not fail for the service's reasons, and a
 * client's broken film must not wake anybody.
 */
import { type ErrorKind, JOB_ERROR_KINDS, type JobErrorKind } from "../errors.ts";

export type Fault = "client" | "service";

const FAULTS: Readonly<Record<JobErrorKind, Fault>> = {
  "input.not_found": "client",
  "input.unreadable": "client",
  "input.unsupported": "client",
  "input.changed": "client",
  "input.too_large": "client",
  "output.exists": "client",
  "output.conflict": "client",
  // What was encoded is not what was planned.
  "output.invalid": "service",
  "limit.exceeded": "client",
  "plan.invalid": "client",
  "plan.unsupported": "client",
  "ffmpeg.failed": "service",
  "ffmpeg.stalled": "service",
  "ffmpeg.killed": "service",
  "resource.memory": "service",
  "resource.disk": "service",
  // The operator's credentials, as far as we can know.
  "storage.denied": "service",
  "storage.unavailable": "service",
  "storage.corrupt": "service",
  "database.unavailable": "service",
  "database.timeout": "service",
  "database.conflict": "service",
  "job.timeout": "service",
  "job.poisoned": "service",
  "job.publish_timeout": "service",
  "worker.draining": "service",
};

export interface FailureLabels {
  readonly fault: Fault;
  readonly reason: JobErrorKind | "internal";
}

const isJobKind = (kind: ErrorKind): kind is JobErrorKind => Object.hasOwn(FAULTS, kind);

/** A job that failed with what only requests can is our bug. */
export const failureLabels = (kind: ErrorKind | null): FailureLabels =>
  kind !== null && isJobKind(kind) ? { fault: FAULTS[kind], reason: kind } : { fault: "service", reason: "internal" };

export const ALL_FAILURES: readonly FailureLabels[] = [...JOB_ERROR_KINDS, null].map(failureLabels);

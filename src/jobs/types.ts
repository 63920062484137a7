/**
 * The words of the domain.
 *
 * job: a client's request and its row · attempt: one execution under one lease · claim: take a job and get a lease ·
 * fencing token: grows with each claim and is checked on each write · finish: record the outcome · reap: make jobs with
 * dead leases available · snooze: put back without using an attempt. A job is durable, an attempt is an actor.
 */
import type { JobErrorKind } from "../errors.ts";
import type { MediaInfo, OutputRole } from "../media/types.ts";
import type { StagedBytes } from "../storage/port.ts";

export const JOB_STATUSES = ["queued", "processing", "completed", "failed", "cancelled"] as const;
export const STAGES = [
  "downloading",
  "probing",
  "planning",
  "encoding",
  "verifying",
  "uploading",
  "publishing",
] as const;
/** Index = the number in `jobs.priority`. */
export const PRIORITIES = ["high", "normal", "low"] as const;
export const JOB_TYPES = ["convert", "stream", "analyze"] as const;

export type JobStatus = (typeof JOB_STATUSES)[number];
export type Stage = (typeof STAGES)[number];
export type Priority = (typeof PRIORITIES)[number];
export type JobType = (typeof JOB_TYPES)[number];

export type JobId = string & { readonly __brand: "JobId" };
export type KeyId = string & { readonly __brand: "KeyId" };
export type WorkerId = string & { readonly __brand: "WorkerId" };

/** How a job failed, as a client reads it. */
export interface JobFailure {
  readonly kind: JobErrorKind | "internal";
  readonly message: string;
  readonly retryable: boolean;
  readonly evidence: string | null;
  readonly hint: string | null;
}

/** A row of `jobs`, in our types. `spec` is parsed by its type's schema where it is used. */
export interface Job {
  readonly id: JobId;
  readonly keyId: KeyId;
  readonly type: JobType;
  readonly status: JobStatus;
  readonly stage: Stage | null;
  readonly progress: number;
  readonly priority: Priority;
  readonly queueRank: number;
  readonly spec: unknown;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly plan: unknown;
  readonly results: unknown;
  readonly error: JobFailure | null;
  readonly warnings: readonly string[];
  readonly metrics: Readonly<Record<string, number>>;
  readonly manifest: PublishManifest | null;
  readonly attempt: number;
  readonly failureCount: number;
  readonly crashCount: number;
  readonly leaseToken: number;
  readonly workerId: WorkerId | null;
  readonly logSeq: number;
  readonly runAt: Date;
  readonly cancelRequestedAt: Date | null;
  readonly batchId: string | null;
  readonly retryOf: JobId | null;
  readonly webhookUrl: string | null;
  readonly webhookEvents: readonly string[];
  readonly requestId: string | null;
  /** Of the request that made it (W3C Trace Context); null where there was no trace. */
  readonly traceparent: string | null;
  /** The kinds of workers that cannot run it. */
  readonly unfit: readonly string[];
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly completedAt: Date | null;
  readonly updatedAt: Date;
}

/** The right to run a job, until a heartbeat says otherwise. Every write of an attempt carries it. */
export interface Lease {
  readonly jobId: JobId;
  readonly leaseToken: number;
  readonly workerId: WorkerId;
}

export interface Claim {
  readonly lease: Lease;
  /** The row as it was claimed; with a manifest it only has to be rolled forward. */
  readonly job: Job;
}

export interface PublishStep {
  readonly ordinal: number;
  readonly role: OutputRole;
  readonly uri: string;
  readonly mediaType: string;
  readonly media: MediaInfo;
  readonly ifAbsent: boolean;
  readonly staged: StagedBytes;
}

/** What will be made visible, in order; playlists and manifests last. In the row it is the point of no return. */
export interface PublishManifest {
  readonly leaseToken: number;
  readonly steps: readonly PublishStep[];
  readonly results: unknown;
  readonly metrics: Readonly<Record<string, number>>;
  readonly warnings: readonly string[];
  /** What the outputs were made from and by, for jobs that may take them over; see reuse.ts. */
  readonly fingerprints?: readonly string[];
}

export interface PublishedOutput {
  readonly ordinal: number;
  readonly identity: string;
}

export const EVENT_TYPES = [
  "job.queued",
  "job.started",
  "job.stage",
  "job.planned",
  "job.retrying",
  "job.snoozed",
  "job.reaped",
  "job.cancel_requested",
  "job.priority_changed",
  "job.completed",
  "job.failed",
  "job.cancelled",
  "job.outputs_deleted",
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** A durable event: `seq` runs from 1 without gaps within a job. */
export interface JobEvent {
  readonly jobId: JobId;
  readonly seq: number;
  readonly type: EventType;
  readonly data: Readonly<Record<string, unknown>>;
  readonly at: Date;
}

/** Live only: never stored, never replayed. */
export interface LiveProgress {
  readonly jobId: JobId;
  readonly stage: Stage;
  /** 0–100 over the whole job. */
  readonly progress: number;
  readonly fps: number | null;
  readonly speed: number | null;
  readonly etaSeconds: number | null;
}

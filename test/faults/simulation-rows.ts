/**
 * The rows as the simulation asks for them. Two engines answer: memory, on the transition table (thousands of seeds), and
 * SQL, on the statements themselves (fewer seeds, the same worlds). A test elsewhere holds the two together.
 */

import type { Lease, PublishedOutput, PublishManifest, Stage } from "../../src/jobs/types.ts";
import type { ObjectRef, StagedBytes } from "../../src/storage/port.ts";

export type Maybe<T> = T | Promise<T>;

export interface HeldLease {
  readonly jobId: Lease["jobId"];
  readonly leaseToken: number;
  readonly cancelRequested: boolean;
}

export interface ClaimedJob {
  readonly lease: Lease;
  readonly manifest: PublishManifest | null;
}

export interface StagingRow {
  readonly jobId: string;
  readonly leaseToken: number;
  readonly key: string;
  readonly staged: { readonly handle: string } | null;
}

export interface JobSnapshot {
  readonly id: string;
  readonly status: string;
  readonly errorKind: string | null;
  readonly manifestToken: number | null;
  readonly attempts: number;
  readonly events: readonly { readonly seq: number; readonly type: string }[];
}

export interface DeletableOutput {
  readonly ordinal: number;
  readonly key: string;
  readonly identity: string;
}

export const TICKS_BEHIND = 3;
export const POISON_AFTER = 4;
export const MAX_ATTEMPTS = 4;

export interface Rows {
  submit(jobId: string): Maybe<void>;
  register(workerId: string): Maybe<void>;
  claim(workerId: string): Maybe<ClaimedJob | null>;
  heartbeat(workerId: string): Maybe<readonly HeldLease[]>;
  tick(): Maybe<void>;
  /** The jobs that were taken from dead workers. */
  reap(): Maybe<readonly string[]>;
  stage(lease: Lease, stage: Exclude<Stage, "publishing">): Maybe<boolean>;
  staging(lease: Lease, objects: readonly (ObjectRef | StagedBytes)[]): Maybe<boolean>;
  fence(
    lease: Lease,
    manifest: PublishManifest,
    overdue: boolean,
  ): Maybe<"fenced" | "lost" | "cancel_requested" | "wait">;
  readFence(lease: Lease): Maybe<"fenced" | "not_fenced" | "cancel_requested" | "lost">;
  complete(lease: Lease, outputs: readonly PublishedOutput[]): Maybe<boolean>;
  fail(lease: Lease, retry: boolean): Maybe<"failed" | "retrying" | "cancelled" | "lost">;
  publishOverdue(lease: Lease): Maybe<boolean>;
  failPublishing(lease: Lease): Maybe<"failed" | "lost" | "not_due">;
  confirmCancelled(lease: Lease): Maybe<boolean>;
  snooze(lease: Lease): Maybe<boolean>;
  giveBack(lease: Lease): Maybe<boolean>;
  cancel(jobId: string): Maybe<"cancelled" | "requested" | "conflict">;
  orphans(): Maybe<readonly StagingRow[]>;
  ownStaging(lease: Lease): Maybe<readonly StagingRow[]>;
  forget(row: StagingRow): Maybe<boolean>;
  claimDeletion(jobId: string, takeOver: boolean): Maybe<readonly DeletableOutput[]>;
  finishDeletion(jobId: string, ordinals: readonly number[]): Maybe<void>;
  interruptedDeletions(): Maybe<readonly string[]>;

  // What the world itself does and looks at; no process of Rendiff calls these.
  /** Every delayed job is due. */
  passTime(): Maybe<void>;
  /** Every publication is overdue. */
  expirePublishing(): Maybe<void>;
  /** Whether the object of this job and token may become visible under this key at this instant. */
  mayPublish(staged: StagedBytes): Maybe<boolean>;
  snapshot(): Maybe<readonly JobSnapshot[]>;
  /** Staging rows and claims that are left. */
  leftovers(): Maybe<number>;
}

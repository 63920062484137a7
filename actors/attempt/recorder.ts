/**
 * Where an attempt reports: the durable store in a server, the terminal in `rendiff convert`.
 *
 * Every method but `progress` is fenced and says whether the lease still holds; none of them retries, and each can be
 * repeated after an unknown outcome.
 */

import type { Retry } from "../../src/errors.ts";
import type { ReusableResult } from "../../src/jobs/reuse.ts";
import type { JobFailure, LiveProgress, PublishedOutput, PublishManifest, Stage } from "../../src/jobs/types.ts";
import type { Plan } from "../../src/media/types.ts";
import type { ObjectRef, StagedObject } from "../../src/storage/port.ts";
import type { FenceOutcome } from "./attempt.types.ts";

export interface StageExtra {
  readonly plan?: Plan;
  readonly warnings?: readonly string[];
  /** Keys that are about to be staged, or the handles of what has been: on record before the first byte leaves. */
  readonly staging?: readonly (ObjectRef | StagedObject)[];
}

export interface Recorder {
  /** Durable: the row and the event together. */
  stage(stage: Exclude<Stage, "publishing">, extra?: StageExtra): Promise<boolean>;
  /** Live only; never waits and never throws. */
  progress(progress: Omit<LiveProgress, "jobId">): void;
  /** The intent to stage something, or the handles of what was staged, so that anyone can clean it up. */
  staged(objects: readonly (ObjectRef | StagedObject)[]): Promise<boolean>;
  /** Earlier results of the job's own key with one of these fingerprints, the newest first. */
  reusable(fingerprints: readonly string[]): Promise<readonly ReusableResult[]>;
  fence(manifest: PublishManifest): Promise<FenceOutcome>;
  complete(manifest: PublishManifest, published: readonly PublishedOutput[]): Promise<boolean>;
  /** `cancelled`: a cancel had been asked for, and wins. With a manifest in the row it is always `retrying`. */
  fail(failure: JobFailure, retry: Retry): Promise<"failed" | "retrying" | "cancelled" | "lost">;
  /** The time to publish is over, by the database's clock. */
  publishOverdue(): Promise<boolean>;
  /** Ends a job that can no longer be published; only after its uploads were aborted and looked at. */
  failPublishing(failure: JobFailure): Promise<"failed" | "lost" | "not_due">;
  /** Staging of this attempt that nobody will publish, whoever holds the job now. */
  ownStaging(): Promise<readonly StagedObject[]>;
  forgetStaging(object: StagedObject): Promise<void>;
  cancelled(): Promise<boolean>;
  snoozed(): Promise<boolean>;
}

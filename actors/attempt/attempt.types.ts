/**
 * What flows through an attempt: from the claim, stage by stage, to the manifest that is published.
 */
import type { RendiffError } from "../../src/errors.ts";
import type { Findings } from "../../src/ffmpeg/findings.ts";
import type { Claim, JobId, PublishManifest } from "../../src/jobs/types.ts";
import type { LoudnessResult } from "../../src/media/measured.ts";
import type { MediaInfo, Plan, PlannedOutput } from "../../src/media/types.ts";
import type { PreparedFile, StagedBytes, StagedObject } from "../../src/storage/port.ts";
import type { RemoteInput } from "../../src/transfer/remote-input.ts";
import type { AttemptScope } from "./scope.ts";
import type { InputRef } from "./spec.ts";
import type { SearchOutcome } from "./stages/search.ts";

/** An input as FFmpeg will find it: a neutral name in the work folder, wherever its bytes lie. */
export interface PreparedInput {
  readonly ref: InputRef;
  readonly file: string;
  readonly readOnly: readonly { readonly source: string; readonly target: string }[];
  readonly sizeBytes: number;
  /** The object's identity when it was prepared; another one at the end means it changed while it was read. */
  readonly identity: string;
  /** Null: the file is the input. Else how the rest of it is had. */
  readonly remote: RemoteInput | null;
}

/** A finished file and what was found in it. */
export interface VerifiedOutput {
  readonly output: Pick<PlannedOutput, "role" | "file" | "name" | "mediaType">;
  readonly media: MediaInfo;
  /** What its storage found out of the file meanwhile; null where there was nothing to. */
  readonly prepared?: PreparedFile | null;
}

/**
 * The outputs of an earlier job, in the work folder or copied by their store, as good as verified: they have the checksums
 * that it published.
 */
export interface Reused {
  readonly jobId: JobId;
  readonly results: unknown;
  readonly warnings: readonly string[];
  readonly outputs: readonly VerifiedOutput[];
  /** What their store has staged, by the output's file, which is not in the work folder then. */
  readonly copied: ReadonlyMap<string, StagedBytes>;
}

/** What was found out for `options.reuse`. */
export interface ReuseReport {
  readonly inputs: readonly Pick<PreparedInput, "ref" | "identity" | "sizeBytes">[];
  /** Of the inputs' bytes; null where they were not read for it. */
  readonly byBytes: string | null;
  /** Null: the work has to be done. */
  readonly reused: Reused | null;
}

/** What segments are encrypted with, and where players fetch it. */
export interface ContentKey {
  readonly bytes: Uint8Array;
  readonly uri: string;
}

/** An output that is sent before it is verified. */
export interface AheadOutput {
  readonly staged: StagedObject;
  /** What the store has, of the file as it was then. */
  readonly filled: Promise<{ readonly bytes: StagedBytes; readonly identity: string }>;
}

export interface EncodeReport {
  readonly wallMs: number;
  readonly cpuMs: number | null;
  /** What the package is encrypted with. Never stored with the job. */
  readonly contentKey?: ContentKey | null;
  /** By the output's file in the work folder. */
  readonly ahead?: ReadonlyMap<string, AheadOutput>;
  readonly loudness: readonly LoudnessResult[];
  /** Resident, of the largest process. */
  readonly memoryBytesPeak?: number;
  /** The crf that was found for `options.target`. */
  readonly search?: SearchOutcome | null;
  /** What its measuring steps found, by name. */
  readonly findings?: Findings;
}

/** What a stage hands on, or the news that the lease is gone. Losing a lease is expected: a value, not an exception. */
export type Held<T> = { readonly held: true; readonly value: T } | { readonly held: false };
export const held = <T>(value: T): Held<T> => ({ held: true, value });
export const LEASE_LOST: { readonly held: false } = { held: false };

export type FenceOutcome =
  | { readonly outcome: "fenced" }
  | { readonly outcome: "lost" }
  | { readonly outcome: "cancel_requested" }
  /** Another job is publishing this key: try again a little later. */
  | { readonly outcome: "wait" };

export type AttemptOutcome = "completed" | "failed" | "retrying" | "cancelled" | "snoozed" | "abandoned";

export interface AttemptContext {
  readonly claim: Claim;
  /** Null unless the job asked for it. */
  readonly reuse: ReuseReport | null;
  readonly inputs: readonly PreparedInput[];
  readonly media: readonly MediaInfo[];
  readonly plan: Plan | null;
  readonly encode: EncodeReport | null;
  readonly verified: readonly VerifiedOutput[];
  readonly manifest: PublishManifest | null;
  readonly error: RendiffError | null;
  readonly outcome: AttemptOutcome | null;
  /** The drain deadline passed while the fence was under way. */
  readonly drainExpired: boolean;
  readonly scope: AttemptScope;
}

export type AttemptEvent =
  /** A cancel was recorded in the row. */
  | { readonly type: "cancel.requested" }
  /** Postgres says that this attempt no longer holds the job. */
  | { readonly type: "lease.lost" }
  /** The drain deadline passed: put the job back without charging an attempt. */
  | { readonly type: "drain.expired" };

export interface AttemptOutput {
  readonly jobId: string;
  readonly outcome: AttemptOutcome;
  readonly error: RendiffError | null;
}

/** How publishing ended; an infrastructure error rejects instead, and the job is rolled forward later. */
export type PublishOutcome =
  | { readonly outcome: "completed" }
  | { readonly outcome: "failed"; readonly error: RendiffError }
  | { readonly outcome: "lost" };

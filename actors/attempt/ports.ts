/**
 * What an attempt needs from the world. Boot binds these; a missing one is a type error.
 */

import type { Findings } from "../../src/ffmpeg/findings.ts";
import type { ProbeCache } from "../../src/ffmpeg/probe-cache.ts";
import type { Claim, JobId } from "../../src/jobs/types.ts";
import type { LoudnessBlock } from "../../src/media/measured.ts";
import type { InputKind } from "../../src/media/operations/references.ts";
import type {
  Capabilities,
  Content,
  EncodeProgress,
  MediaInfo,
  MediaLimits,
  PackagePlan,
  PlannedOutput,
  PlanStep,
} from "../../src/media/types.ts";
import type { StorageRegistry } from "../../src/storage/port.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import type { Metrics } from "../../src/telemetry/metrics.ts";
import type { Tracer } from "../../src/telemetry/tracer.ts";
import type { WorkFolders } from "../../src/work-folders/work-folders.ts";
import type { ContentKey, VerifiedOutput } from "./attempt.types.ts";
import type { Processors } from "./processors.ts";
import type { Recorder } from "./recorder.ts";
import type { Reservation } from "./scope.ts";

export interface ReadOnlyFile {
  readonly source: string;
  readonly target: string;
}

export interface EncodeRun {
  readonly step: PlanStep;
  /** For the packager, where it encrypts. */
  readonly contentKey: ContentKey | null;
  readonly workDir: string;
  readonly readOnly: readonly ReadOnlyFile[];
  readonly niceness: number;
  /** For a step with `stdin`. */
  readonly input?: AsyncGenerator<Uint8Array>;
  readonly signal: AbortSignal;
  onProgress(progress: EncodeProgress): void;
}

export interface EncodeRan {
  readonly wallMs: number;
  readonly cpuMs: number | null;
  readonly peakRssBytes?: number | null;
  readonly loudness: readonly LoudnessBlock[];
  readonly findings?: Findings;
}

/** FFmpeg and ffprobe, sandboxed and limited. Each resolves or rejects only when its processes are dead. */
export interface MediaTools {
  readonly sandboxed: boolean;
  probe(
    file: string,
    at: {
      workDir: string;
      readOnly: readonly ReadOnlyFile[];
      kind: InputKind;
      signal: AbortSignal;
      /** Parts whose keyframes the plan will need; null for none. */
      keyframesFor?: (media: MediaInfo) => readonly { readonly start: number; readonly end: number | null }[] | null;
    },
  ): Promise<MediaInfo>;
  run(run: EncodeRun): Promise<EncodeRan>;
  /** Writes a file that is made of the plan, or of what a step left behind. */
  writeContent(output: PlannedOutput, content: Content, workDir: string): Promise<MediaInfo>;
  /** `copied`: its streams were not re-encoded, so what cannot be decoded was so in the input. */
  verify(
    output: PlannedOutput,
    at: { workDir: string; copied: boolean; niceness: number; signal: AbortSignal },
  ): Promise<MediaInfo>;
  /**
   * A package held against its plan as a whole, and encrypted where the plan says so; in the order in which its files may be
   * published. `key` is the one of `run`.
   */
  finishPackage(
    plan: PackagePlan,
    at: { workDir: string; niceness: number; signal: AbortSignal; key: ContentKey | null },
  ): Promise<readonly VerifiedOutput[]>;
}

export interface AttemptPorts {
  /** Keeps a content key where `GET /keys/{token}` finds it, and answers with its token; null where nobody serves keys. */
  readonly keepKey: ((jobId: JobId, key: Uint8Array) => Promise<string>) | null;
  readonly recorder: (claim: Claim) => Recorder;
  readonly storage: StorageRegistry;
  readonly tools: MediaTools;
  readonly probes: ProbeCache;
  readonly workFolders: WorkFolders;
  /** Waits for a share of MEMORY_LIMIT; rejects with `resource.memory` when the share can never be had. */
  readonly memory: (bytes: number, signal: AbortSignal) => Promise<Reservation>;
  readonly capabilities: Capabilities;
  readonly limits: MediaLimits & { readonly jobTimeoutMs: number };
  readonly processors: Processors;
  readonly publishTimeoutMs: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer: Pick<Tracer, "stageEnded">;
}

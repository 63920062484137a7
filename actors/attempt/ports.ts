/**
 * What an attempt needs from the world. Boot binds these; a missing one is a type error.
 */
import type { Claim } from "../../src/jobs/types.ts";
import type {
  Capabilities,
  EncodeProgress,
  MediaInfo,
  MediaLimits,
  PlannedOutput,
  PlanStep,
} from "../../src/media/types.ts";
import type { StorageRegistry } from "../../src/storage/port.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import type { Metrics } from "../../src/telemetry/metrics.ts";
import type { WorkFolders } from "../../src/work-folders/work-folders.ts";
import type { Recorder } from "./recorder.ts";
import type { Reservation } from "./scope.ts";

export interface ReadOnlyFile {
  readonly source: string;
  readonly target: string;
}

export interface EncodeRun {
  readonly step: PlanStep;
  readonly workDir: string;
  readonly readOnly: readonly ReadOnlyFile[];
  readonly niceness: number;
  readonly signal: AbortSignal;
  onProgress(progress: EncodeProgress): void;
}

/** FFmpeg and ffprobe, sandboxed and limited. Each resolves or rejects only when its processes are dead. */
export interface MediaTools {
  readonly sandboxed: boolean;
  probe(
    file: string,
    at: { workDir: string; readOnly: readonly ReadOnlyFile[]; signal: AbortSignal },
  ): Promise<MediaInfo>;
  run(run: EncodeRun): Promise<{ wallMs: number; cpuMs: number | null }>;
  /** `copied`: its streams were not re-encoded, so what cannot be decoded was so in the input. */
  verify(
    output: PlannedOutput,
    at: { workDir: string; copied: boolean; niceness: number; signal: AbortSignal },
  ): Promise<MediaInfo>;
}

export interface AttemptPorts {
  readonly recorder: (claim: Claim) => Recorder;
  readonly storage: StorageRegistry;
  readonly tools: MediaTools;
  readonly workFolders: WorkFolders;
  /** Waits for a share of MEMORY_LIMIT; rejects with `resource.memory` when the share can never be had. */
  readonly memory: (bytes: number, signal: AbortSignal) => Promise<Reservation>;
  readonly capabilities: Capabilities;
  readonly limits: MediaLimits & { readonly jobTimeoutMs: number };
  readonly threads: number;
  readonly publishTimeoutMs: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

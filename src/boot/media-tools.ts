/** Binds FFmpeg, ffprobe and the sandbox of this machine to what attempts and the front end ask of them. */
import { join } from "node:path";
import type { MediaTools as AttemptTools } from "../../actors/attempt/ports.ts";
import type { Config } from "../config/config.ts";
import { exerciseCapabilities } from "../ffmpeg/capabilities.ts";
import { probeFile } from "../ffmpeg/probe.ts";
import { runStep } from "../ffmpeg/step.ts";
import { findTools } from "../ffmpeg/tools.ts";
import { verifyOutput } from "../ffmpeg/verify.ts";
import type { Capabilities, MediaInfo } from "../media/types.ts";
import type { ProcessRunner } from "../process/port.ts";
import { makeProcessRunner } from "../process/runner.ts";
import type { Logger } from "../telemetry/logger.ts";

export interface Media {
  readonly runner: ProcessRunner;
  readonly capabilities: Capabilities;
  readonly tools: AttemptTools;
  /** A file where it lies, by its absolute path. */
  probe(file: string, signal: AbortSignal): Promise<MediaInfo>;
}

export async function openMedia(config: Config, logger: Logger): Promise<Media> {
  const { worker, limits, process } = config;
  const [runner, tools] = await Promise.all([
    makeProcessRunner({ sandbox: worker.sandbox, logger }),
    findTools({ ffmpegPath: worker.ffmpegPath, ffprobePath: worker.ffprobePath }),
  ]);
  const capabilities = await exerciseCapabilities({ runner, tools, cacheDir: join(process.dataDir, "cache") });
  const { inputFormats } = capabilities;
  const probe = (file: string, signal: AbortSignal): Promise<MediaInfo> =>
    probeFile({ runner, tools, file, inputFormats, limits, signal });
  return {
    runner,
    capabilities,
    probe,
    tools: {
      sandboxed: runner.sandbox.mode === "bubblewrap",
      probe: (file, { workDir, readOnly, signal }) => probe(readOnly[0]?.source ?? join(workDir, file), signal),
      run: (run) =>
        runStep({ runner, tools, stallTimeoutMs: limits.stallTimeoutMs, timeoutMs: limits.jobTimeoutMs, ...run }),
      verify: (output, { workDir, signal }) => verifyOutput({ runner, tools, workDir, output, signal }),
    },
  };
}

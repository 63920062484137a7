/** Binds FFmpeg, ffprobe and the sandbox of this machine to what attempts and the front end ask of them. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { MediaTools as AttemptTools } from "../../actors/attempt/ports.ts";
import type { Config } from "../config/config.ts";
import { exerciseCapabilities } from "../ffmpeg/capabilities.ts";
import { probeCaptions } from "../ffmpeg/captions.ts";
import { finishPackage } from "../ffmpeg/package/finish-package.ts";
import { findPackager, runPackager, tryPackager } from "../ffmpeg/packager.ts";
import { type KeyframesFor, probeFile } from "../ffmpeg/probe.ts";
import { runStep } from "../ffmpeg/step.ts";
import { findTools } from "../ffmpeg/tools.ts";
import { verifyOutput } from "../ffmpeg/verify.ts";
import { writeContent } from "../ffmpeg/write-content.ts";
import type { InputKind } from "../media/operations/references.ts";
import type { Capabilities, MediaInfo } from "../media/types.ts";
import type { ProcessRunner } from "../process/port.ts";
import { makeProcessRunner } from "../process/runner.ts";
import type { Logger } from "../telemetry/logger.ts";
import { placeInput } from "../work-folders/place-input.ts";

export interface Media {
  readonly runner: ProcessRunner;
  readonly capabilities: Capabilities;
  readonly tools: AttemptTools;
  /** Runs with a folder of its own, absolute, that is gone when it settles. */
  inScratch<T>(work: (folder: string) => Promise<T>): Promise<T>;
  /** A file where it lies, by its absolute path. */
  probe(file: string, kind: InputKind, signal: AbortSignal, keyframesFor?: KeyframesFor): Promise<MediaInfo>;
}

export async function openMedia(config: Config, logger: Logger): Promise<Media> {
  const { worker, limits, process } = config;
  const [runner, tools] = await Promise.all([
    makeProcessRunner({ sandbox: worker.sandbox, logger }),
    findTools({ ffmpegPath: worker.ffmpegPath, ffprobePath: worker.ffprobePath }),
  ]);
  const packager = findPackager(worker.packagerPath);
  const [exercised, packages] = await Promise.all([
    exerciseCapabilities({ runner, tools, cacheDir: join(process.dataDir, "cache") }),
    tryPackager(runner, packager),
  ]);
  const capabilities = { ...exercised, packager: packages };
  const sandboxed = runner.sandbox.mode === "bubblewrap";
  const probeAt = (
    file: string,
    source: string,
    kind: InputKind,
    signal: AbortSignal,
    keyframesFor?: KeyframesFor,
  ): Promise<MediaInfo> => {
    if (kind === "captions") return probeCaptions(source);
    const { inputFormats } = capabilities;
    return probeFile({ runner, tools, file, source, inputFormats, limits, signal, keyframesFor });
  };
  const inScratch = async <T>(work: (folder: string) => Promise<T>): Promise<T> => {
    await mkdir(worker.tempDir, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(join(worker.tempDir, "probe-"));
    try {
      return await work(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };
  return {
    runner,
    capabilities,
    inScratch,
    // Under a neutral name: FFmpeg sees no name of a user's, and guesses nothing from an extension.
    probe: (sourcePath, kind, signal, keyframesFor) =>
      inScratch(async (workDir) => {
        await mkdir(join(workDir, "in"));
        const { file } = await placeInput({ workDir, index: 0, sourcePath, sandboxed });
        return await probeAt(join(workDir, file), sourcePath, kind, signal, keyframesFor);
      }),
    tools: {
      sandboxed,
      probe: (file, { workDir, readOnly, kind, signal, keyframesFor }) => {
        const path = join(workDir, file);
        return probeAt(path, readOnly[0]?.source ?? path, kind, signal, keyframesFor);
      },
      run: async (run) => {
        if (run.step.program === "packager") {
          const packed = await runPackager({ runner, program: packager, timeoutMs: limits.jobTimeoutMs, ...run });
          return { ...packed, loudness: [] };
        }
        return await runStep({
          runner,
          tools,
          stallTimeoutMs: limits.stallTimeoutMs,
          timeoutMs: limits.jobTimeoutMs,
          ...run,
        });
      },
      finishPackage: (plan, at) => finishPackage({ runner, tools, packager, plan, ...at }),
      writeContent,
      verify: (output, at) => verifyOutput({ runner, tools, output, ...at }),
    },
  };
}

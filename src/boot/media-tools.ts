/** Binds FFmpeg, ffprobe and the sandbox of this machine to what attempts and the front end ask of them. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { makeMemoryBudget } from "../../actors/attempt/memory-budget.ts";
import type { AttemptPorts, MediaTools as AttemptTools } from "../../actors/attempt/ports.ts";
import type { Config } from "../config/config.ts";
import { RendiffError } from "../errors.ts";
import { exerciseCapabilities } from "../ffmpeg/capabilities.ts";
import { probeCaptions } from "../ffmpeg/captions.ts";
import { findPackager, runPackager } from "../ffmpeg/packager.ts";
import { type KeyframesFor, probeFile } from "../ffmpeg/probe.ts";
import { runStep } from "../ffmpeg/step.ts";
import { findTools } from "../ffmpeg/tools.ts";
import { verifyOutput } from "../ffmpeg/verify.ts";
import { findVmafTools } from "../ffmpeg/vmaf.ts";
import { writeContent } from "../ffmpeg/write-content.ts";
import type { InputKind } from "../media/operations/references.ts";
import type { Capabilities, MediaInfo } from "../media/types.ts";
import type { ProcessRunner } from "../process/port.ts";
import { makeProcessRunner } from "../process/runner.ts";
import type { Logger } from "../telemetry/logger.ts";
import { toResourceError } from "../work-folders/errors.ts";
import { placeInput } from "../work-folders/place-input.ts";
import { makeSpace, type Reservation, type Space } from "../work-folders/space.ts";
import { SCRATCH_PREFIX } from "../work-folders/work-folders.ts";

export interface Media {
  readonly runner: ProcessRunner;
  readonly capabilities: Capabilities;
  readonly tools: AttemptTools;
  /** Of MEMORY_LIMIT, for attempts and estimates together. */
  readonly memory: AttemptPorts["memory"];
  /** Of TEMP_STORAGE, for attempts and scratch folders together. */
  readonly space: Space;
  /** Runs with a folder of its own, absolute, that is gone when it settles, and room in it for what it asks for. */
  inScratch<T>(work: (folder: string, reserve: (bytes: number) => Promise<void>) => Promise<T>): Promise<T>;
  /** A file where it lies, by its absolute path. */
  probe(file: string, kind: InputKind, signal: AbortSignal, keyframesFor?: KeyframesFor): Promise<MediaInfo>;
}

export function makeScratch(tempDir: string, space: Space): Media["inScratch"] {
  return async (work) => {
    await mkdir(tempDir, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(join(tempDir, SCRATCH_PREFIX));
    const reservations: Reservation[] = [];
    try {
      return await work(folder, async (bytes) => {
        const reservation = await space.reserve(basename(folder), bytes);
        if (reservation === null) throw noRoom();
        reservations.push(reservation);
      });
    } catch (error) {
      throw toResourceError(error);
    } finally {
      await rm(folder, { recursive: true, force: true });
      for (const reservation of reservations) reservation.release();
    }
  };
}

const noRoom = (): RendiffError =>
  new RendiffError({
    kind: "resource.disk",
    retry: "backoff",
    publicMessage: "There is not enough free disk space to look at this input right now.",
  });

async function tryTools({ worker, process }: Config, logger: Logger, scratchDir: string, onWaiting: () => void) {
  const [runner, tools] = await Promise.all([
    makeProcessRunner({ sandbox: worker.sandbox, scratchDir, logger, onTesting: onWaiting }),
    findTools({ ffmpegPath: worker.ffmpegPath, ffprobePath: worker.ffprobePath }),
  ]);
  const packager = findPackager(worker.packagerPath);
  const vmafTools = findVmafTools(tools, worker.vmafFfmpegPath);
  const cacheDir = join(process.dataDir, "cache");
  const capabilities = await exerciseCapabilities({ runner, tools, vmafTools, packager, scratchDir, cacheDir });
  return { runner, tools, vmafTools, packager, capabilities };
}

/** `onWaiting`: the sandbox is being tried by another process, which leaves this one with nothing to do. */
export async function openMedia(config: Config, logger: Logger, onWaiting: () => void = () => {}): Promise<Media> {
  const { worker, limits } = config;
  const space = makeSpace({ tempDir: worker.tempDir, limitBytes: worker.tempLimitBytes });
  const inScratch = makeScratch(worker.tempDir, space);
  // Tried where it will work: in a container every other folder may be read-only.
  const { runner, tools, vmafTools, packager, capabilities } = await inScratch((folder) =>
    tryTools(config, logger, folder, onWaiting),
  );
  const sandboxed = runner.sandbox.mode === "bubblewrap";
  const packages = capabilities.packager?.ok === true;
  logger.info({ ffmpeg: capabilities.ffmpegVersion, sandbox: runner.sandbox, packager: packages }, "FFmpeg was tried");
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
  return {
    runner,
    capabilities,
    space,
    memory: makeMemoryBudget(worker.memoryLimitBytes),
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
          tools: run.step.program === "vmaf" && vmafTools !== null ? vmafTools : tools,
          stallTimeoutMs: limits.stallTimeoutMs,
          timeoutMs: limits.jobTimeoutMs,
          ...run,
        });
      },
      finishPackage: async (plan, at) => {
        // Its parsers are loaded with the first package.
        const { finishPackage } = await import("../ffmpeg/package/finish-package.ts");
        return await finishPackage({ runner, tools, packager, plan, ...at });
      },
      writeContent,
      verify: (output, at) => verifyOutput({ runner, tools, output, ...at }),
    },
  };
}

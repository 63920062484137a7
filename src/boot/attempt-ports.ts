/** What attempts run on in this process, for the server and for `rendiff convert` alike. */
import { availableParallelism } from "node:os";
import { makeMemoryBudget } from "../../actors/attempt/memory-budget.ts";
import type { AttemptPorts } from "../../actors/attempt/ports.ts";
import type { Config } from "../config/config.ts";
import { killStrays } from "../process/strays.ts";
import type { StorageRegistry } from "../storage/port.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { makeWorkFolders } from "../work-folders/work-folders.ts";
import type { Media } from "./media-tools.ts";

/** `auto` shares the processors out to the slots: two jobs with one thread each beat two with all of them. */
export function threadsOf({ worker }: Config): number {
  if (worker.ffmpegThreads !== "auto") return worker.ffmpegThreads;
  return Math.max(1, Math.floor(availableParallelism() / worker.concurrency));
}

export interface AttemptParts {
  readonly config: Config;
  readonly media: Media;
  readonly storage: StorageRegistry;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer: AttemptPorts["tracer"];
  readonly recorder: AttemptPorts["recorder"];
  readonly keepKey: AttemptPorts["keepKey"];
}

export async function makeAttemptPorts(parts: AttemptParts): Promise<AttemptPorts> {
  const { config, media, storage, logger, metrics, tracer, recorder, keepKey } = parts;
  const { tempDir, tempLimitBytes, memoryLimitBytes } = config.worker;
  const strays = await killStrays(tempDir);
  if (strays.length > 0) logger.info({ strays }, "ended what a killed server had left half started");
  return {
    recorder,
    keepKey,
    storage,
    tools: media.tools,
    workFolders: await makeWorkFolders({ tempDir, tempLimitBytes, space: media.space }),
    memory: makeMemoryBudget(memoryLimitBytes),
    capabilities: media.capabilities,
    limits: config.limits,
    threads: threadsOf(config),
    publishTimeoutMs: config.queue.publishTimeoutMs,
    logger,
    metrics,
    tracer,
  };
}

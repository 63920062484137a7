/** What attempts run on in this process, for the server and for `rendiff convert` alike. */
import type { AttemptPorts } from "../../actors/attempt/ports.ts";
import { makeProcessors } from "../../actors/attempt/processors.ts";
import type { Config } from "../config/config.ts";
import { killStrays } from "../process/strays.ts";
import type { StorageRegistry } from "../storage/port.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { makeWorkFolders } from "../work-folders/work-folders.ts";
import type { Media } from "./media-tools.ts";

export interface AttemptParts {
  readonly config: Config;
  readonly media: Media;
  readonly storage: StorageRegistry;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer: AttemptPorts["tracer"];
  readonly recorder: AttemptPorts["recorder"];
  readonly keepKey: AttemptPorts["keepKey"];
  readonly probes: AttemptPorts["probes"];
}

/** Ends what a killed server left half started. */
export async function endStrays({ worker: { tempDir } }: Config, logger: Logger): Promise<void> {
  const strays = await killStrays(tempDir);
  if (strays.length > 0) logger.info({ strays }, "ended what a killed server had left half started");
}

export async function makeAttemptPorts(parts: AttemptParts): Promise<AttemptPorts> {
  const { config, media, storage, logger, metrics, tracer, recorder, keepKey, probes } = parts;
  const { tempDir, tempLimitBytes } = config.worker;
  return {
    recorder,
    keepKey,
    probes,
    storage,
    tools: media.tools,
    workFolders: await makeWorkFolders({ tempDir, tempLimitBytes, space: media.space }),
    memory: media.memory,
    capabilities: media.capabilities,
    limits: config.limits,
    processors: makeProcessors(config.worker.cpuCount, config.worker.ffmpegThreads),
    publishTimeoutMs: config.queue.publishTimeoutMs,
    logger,
    metrics,
    tracer,
  };
}

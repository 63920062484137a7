/** What only a replica with an FFmpeg of its own loads: the actors that run jobs, and answers about media. */
import { makeAttemptLogic } from "../../actors/attempt/attempt.logic.ts";
import { makeSqlRecorder } from "../../actors/attempt/sql-recorder.ts";
import type { CourierLogic } from "../../actors/courier/courier.logic.ts";
import { makeReconcilerLogic, type ReconcilerPorts } from "../../actors/reconciler/reconciler.logic.ts";
import { type RunningSystem, startSystem } from "../../actors/system.ts";
import { makeWorkerLogic } from "../../actors/worker/worker.logic.ts";
import type { MediaService } from "../../plugins/context.ts";
import { makeProbeCache, type ProbeCache } from "../ffmpeg/probe-cache.ts";
import { keepContentKey } from "../jobs/content-keys.ts";
import { processingAttempts } from "../jobs/processing.ts";
import { VERSION } from "../version.ts";
import type { Message, sendMessage } from "../webhooks/send.ts";
import { makeAttemptPorts } from "./attempt-ports.ts";
import type { FleetView } from "./fleet.ts";
import { answerRequests } from "./media-remote.ts";
import { makeMediaService } from "./media-service.ts";
import type { Media } from "./media-tools.ts";
import type { Parts } from "./parts.ts";

export { endStrays } from "./attempt-ports.ts";

export type WorkerHalf = typeof import("./worker.ts");

export interface OwnParts extends Parts {
  readonly media: Media;
}

export interface WorkerParts extends OwnParts {
  readonly courier: CourierLogic;
  readonly fleet: FleetView;
  sendWebhook(message: Message): ReturnType<typeof sendMessage>;
}

/** Shared by all replicas: what one has looked at, none has to look at again. */
const probesOf = ({ media: { capabilities }, coordination, config }: OwnParts): ProbeCache =>
  makeProbeCache(coordination.cache, { capabilities, limits: config.limits });

/** Its own work folders are swept, and it claims jobs when it resolves. */
export async function startWorker(
  parts: WorkerParts,
  reconcilerPorts: Omit<ReconcilerPorts, "workFolders">,
): Promise<RunningSystem> {
  const { config, logger, sql, coordination, metrics, tracer, media, courier, sendWebhook, fleet } = parts;
  const { queue, worker } = config;
  const recorderPorts = {
    sql,
    coordination,
    logger,
    maxAttempts: queue.maxAttempts,
    publishTimeoutMs: queue.publishTimeoutMs,
    sendWebhook,
  };
  const attemptPorts = await makeAttemptPorts({
    keepKey: (jobId, key) => keepContentKey(sql, jobId, key),
    probes: probesOf(parts),
    ...parts,
    media,
    recorder: (claim) => makeSqlRecorder(recorderPorts, claim),
  });
  await attemptPorts.workFolders.sweep(() => processingAttempts(sql));
  const workerLogic = makeWorkerLogic({
    ...{ sql, coordination, logger, metrics, tracer, ...queue },
    attempt: makeAttemptLogic(attemptPorts),
    processors: attemptPorts.processors,
    role: config.process.role === "worker" ? "worker" : "combined",
    version: VERSION,
    capabilities: media.capabilities,
    ...{ jobTypes: worker.jobTypes, priorities: worker.priorities },
    ...{ kinds: fleet.kinds, limits: config.limits },
    drainTimeoutMs: config.process.drainTimeoutMs,
  });
  return startSystem({
    worker: workerLogic,
    reconciler: makeReconcilerLogic({ ...reconcilerPorts, workFolders: attemptPorts.workFolders }),
    courier,
    slots: worker.concurrency,
    logger,
  });
}

export async function openOwnMedia(parts: OwnParts, opened: AsyncDisposableStack): Promise<MediaService> {
  const { config, media, storage, coordination, logger } = parts;
  const { bus, locks } = coordination;
  const { ffmpegThreads, cpuCount } = config.worker;
  // As for a job that is alone.
  const threads = ffmpegThreads === "auto" ? cpuCount : ffmpegThreads;
  const probes = probesOf(parts);
  const own = makeMediaService({ media, storage, probes, limits: config.limits, threads });
  if (coordination.kind === "redis") {
    const stop = await answerRequests({ bus, locks, media: own, logger });
    opened.defer(stop);
  }
  return own;
}

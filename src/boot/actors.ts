/** The actors of a server: those that every replica has, and with an FFmpeg those that run jobs. */
import { makeCourierLogic } from "../../actors/courier/courier.logic.ts";
import { makeReconcilerLogic, offerReady, tellReaped } from "../../actors/reconciler/reconciler.logic.ts";
import { type RunningSystem, startSystem } from "../../actors/system.ts";
import { reapDeadWorkers } from "../jobs/reap.ts";
import { VERSION } from "../version.ts";
import { type Message, sendMessage } from "../webhooks/send.ts";
import type { FleetView } from "./fleet.ts";
import type { Parts } from "./parts.ts";
import { makeSampleRecorder } from "./sample-recorder.ts";
import type { WorkerHalf } from "./worker.ts";

/**
 * What was queued gets its hints back, which may have died with the process before. A process that is alone knows more:
 * whatever the rows say is running died too.
 */
export async function recover(parts: Parts, alone: boolean): Promise<void> {
  const { sql, config } = parts;
  const { poisonAfter } = config.queue;
  const limit = 1_000;
  while (alone) {
    const reaped = await reapDeadWorkers(sql, { ticksBehind: 0, poisonAfter, limit });
    if (reaped.length > 0) await tellReaped(parts, reaped);
    if (reaped.length < limit) break;
  }
  if (alone) await parts.uploads.recover();
  await offerReady(parts);
}

/** `worker`: null where no jobs run. */
export async function startActors(parts: Parts, fleet: FleetView, worker: WorkerHalf | null): Promise<RunningSystem> {
  const { config, logger, sql, coordination, metrics, tracer, media, urlGuard } = parts;
  const slots = media === null ? 0 : config.worker.concurrency;
  const recordSample = makeSampleRecorder({ ...parts, slots, reapAfterTicks: config.queue.reapAfterTicks });
  const reconcilerPorts = { ...parts, ...config.queue, holder: parts.replicaId, recordSample };
  const sendWebhook = (message: Message) => sendMessage({ guard: urlGuard, version: VERSION }, message);
  const courier = makeCourierLogic({ ...{ sql, bus: coordination.bus, logger, metrics, tracer }, send: sendWebhook });
  if (media !== null && worker !== null)
    return worker.startWorker({ ...parts, media, courier, sendWebhook, fleet }, reconcilerPorts);
  const reconciler = makeReconcilerLogic({ ...reconcilerPorts, workFolders: null });
  return startSystem({ worker: null, reconciler, courier, slots: 0, logger });
}

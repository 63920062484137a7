/**
 * What follows a committed change of a job that a client asked for: hints and nudges, so that others act at once. None
 * of it is needed for the job to go on, so its failures are logged and never reach the client.
 */
import { type Coordination, channels, type ReadyHint } from "../coordination/ports.ts";
import type { Sql } from "../database/sql.ts";
import type { EventHub } from "../events/hub.ts";
import { publishChange } from "../events/messages.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Tracer } from "../telemetry/tracer.ts";
import { type CancelResult, cancelJob } from "./cancel.ts";
import { getJob } from "./store.ts";
import type { Job, KeyId } from "./types.ts";

export interface AnnounceDeps {
  readonly coordination: Coordination;
  readonly logger: Logger;
}

async function attempt(deps: Pick<AnnounceDeps, "logger">, what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    deps.logger.warn({ err: error }, what);
  }
}

/** After a job was created or changed: a hint if it can be claimed, and "look again" to whoever listens to it. */
export async function announceJob(deps: AnnounceDeps, job: Job): Promise<void> {
  const { readyQueue, bus } = deps.coordination;
  // Both times are the database's, whose clock may be ahead of ours.
  if (job.status === "queued" && job.runAt <= job.updatedAt) {
    const hint: ReadyHint = { jobId: job.id, priority: job.priority, rank: job.queueRank };
    await attempt(deps, "a job's hint was not queued; the reconciler will add it", () => readyQueue.add([hint]));
  }
  await attempt(deps, "a job's listeners were not told of a change", () => publishChange(bus, job.id));
}

/** After a job has ended: a courier looks at once where that may have made a webhook, the job's own or its batch's. */
export async function tellCourier(
  deps: Pick<AnnounceDeps, "logger"> & { readonly coordination: Pick<Coordination, "bus"> },
  job: Pick<Job, "webhookUrl" | "batchId">,
): Promise<void> {
  if (job.webhookUrl === null && job.batchId === null) return;
  await attempt(deps, "the courier was not told of a webhook", () =>
    deps.coordination.bus.publish(channels.webhooks, {}),
  );
}

export interface CancelDeps extends AnnounceDeps {
  readonly sql: Sql;
  readonly events: EventHub;
  readonly metrics: Pick<Metrics, "jobFinished">;
  readonly tracer: Pick<Tracer, "jobEnded">;
}

/**
 * Records the cancel, tells the holder, and waits up to `waitMs` for the job to end. `cancelled`: it has, and its FFmpeg
 * is dead. `requested`: it has not yet. `conflict`: it had ended before, or was published meanwhile.
 */
export async function requestCancel(
  deps: CancelDeps,
  { jobId, keyId, waitMs }: { jobId: string; keyId: KeyId | null; waitMs: number },
): Promise<CancelResult> {
  const result = await cancelJob(deps.sql, { jobId, keyId });
  const { job } = result;
  if (job === null || result.outcome === "conflict") return result;
  const { bus, readyQueue } = deps.coordination;
  await attempt(deps, "a job's listeners were not told of a cancel", () => publishChange(bus, job.id));
  if (result.outcome === "cancelled") {
    deps.metrics.jobFinished({ status: "cancelled", type: job.type, error: null, durationSeconds: null });
    deps.tracer.jobEnded({ job, status: "cancelled", error: null });
    await tellCourier(deps, job);
    await attempt(deps, "a cancelled job's hint was not removed", () => readyQueue.remove(job.id));
    return result;
  }
  await attempt(deps, "the holder of a job was not told of a cancel", () =>
    bus.publish(channels.cancel, { job_id: job.id }),
  );
  await deps.events.waitUntilFinal(job.id, waitMs);
  const now = await getJob(deps.sql, { jobId: job.id, keyId });
  if (now === null) return { outcome: "not_found", job: null };
  if (now.status === "cancelled") return { outcome: "cancelled", job: now };
  return { outcome: now.completedAt === null ? "requested" : "conflict", job: now };
}

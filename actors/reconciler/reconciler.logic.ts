/** What a round of the reconciler does. Each part is safe to run anywhere, at any time, twice at once. */
import { fromCallback, fromPromise } from "xstate";
import { type Coordination, channels } from "../../src/coordination/ports.ts";
import type { Sql } from "../../src/database/sql.ts";
import { publishChange } from "../../src/events/messages.ts";
import { ageJobs } from "../../src/jobs/ageing.ts";
import { forgetWorkers } from "../../src/jobs/fleet.ts";
import { endTurn, takeTurn } from "../../src/jobs/leases.ts";
import { advanceTick, retireSilentWorkers } from "../../src/jobs/liveness.ts";
import { processingAttempts } from "../../src/jobs/processing.ts";
import { nextDueMs, readyHints, refreshQueuePlans } from "../../src/jobs/ready.ts";
import { POISONED, type ReapedJob, reapDeadWorkers } from "../../src/jobs/reap.ts";
import type { StorageRegistry } from "../../src/storage/port.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import type { Metrics } from "../../src/telemetry/metrics.ts";
import type { Tracer } from "../../src/telemetry/tracer.ts";
import type { Uploads } from "../../src/uploads/uploads.ts";
import type { WorkFolders } from "../../src/work-folders/work-folders.ts";
import { reconcilerMachine } from "./reconciler.machine.ts";
import { tidy } from "./tidy.ts";

export interface ReconcilerPorts {
  readonly sql: Sql;
  readonly coordination: Coordination;
  readonly storage: StorageRegistry;
  readonly uploads: Pick<Uploads, "sweep">;
  /** Null where no jobs run. */
  readonly workFolders: WorkFolders | null;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  /** Adds this replica's sample to those that are kept. */
  recordSample(): Promise<void>;
  /** This process; two reconcilers of one process would be one too many. */
  readonly holder: string;
  readonly tickIntervalMs: number;
  readonly reapAfterTicks: number;
  readonly poisonAfter: number;
  readonly publishTimeoutMs: number;
  /** Default: half an hour. */
  readonly ageAfterMs?: number;
  /** Default: a minute. */
  readonly sampleEveryMs?: number;
  readonly retentionJobsMs: number | null;
  readonly retentionOutputsMs: number | null;
}

const TURN = "reconciler";
const REAP_LIMIT = 200;
const HINT_LIMIT = 1_000;
/** A job that could have run for so long moves up one class. */
const AGE_AFTER_MS = 30 * 60_000;
const FORGET_LIMIT = 100;
const ROUND_MS_MIN = 50;
/** Sweeping and retention look at more rows and hurry nobody. */
const TIDY_EVERY_TICKS = 12;
/** Folders are this machine's own: nobody else sweeps them, whoever has the turn. */
const SWEEP_EVERY_TICKS = 2;
const SAMPLE_EVERY_MS = 60_000;

export async function tellReaped(
  { coordination, logger, metrics, tracer }: Pick<ReconcilerPorts, "coordination" | "logger" | "metrics" | "tracer">,
  reaped: readonly ReapedJob[],
): Promise<void> {
  const ready = reaped.filter(({ outcome }) => outcome === "queued" || outcome === "republish");
  await hurry(logger, () =>
    coordination.readyQueue.add(ready.map(({ jobId, priority, rank }) => ({ jobId, priority, rank }))),
  );
  for (const { jobId, outcome, type, createdAt, traceparent } of reaped) {
    logger.warn({ jobId, outcome }, "a job was taken from a dead worker");
    if (outcome === "poisoned" || outcome === "cancelled") {
      const status = outcome === "poisoned" ? "failed" : "cancelled";
      const error = outcome === "poisoned" ? POISONED.kind : null;
      metrics.jobFinished({ status, type, error, durationSeconds: null });
      tracer.jobEnded({ job: { id: jobId, type, createdAt, traceparent }, status, error });
    } else metrics.jobRetried("worker.lost");
    await hurry(logger, () => publishChange(coordination.bus, jobId));
  }
}

/** Hints and messages only hurry things along: a round goes on without them. */
async function hurry(logger: Logger, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    logger.debug({ err: error }, "nobody could be told");
  }
}

/** What a round tells the next one. */
export interface QueueState {
  /** So many wait that a plan which reads them all is slow. */
  isLong: boolean;
}

async function mend(ports: ReconcilerPorts, queue: QueueState): Promise<void> {
  const { sql, reapAfterTicks, poisonAfter } = ports;
  const reaped = await reapDeadWorkers(sql, { ticksBehind: reapAfterTicks, poisonAfter, limit: REAP_LIMIT });
  if (reaped.length > 0) await tellReaped(ports, reaped);
  const offered = await offerReady(ports);
  // The database looks by itself within a minute; thousands may be claimed until then.
  if (offered >= HINT_LIMIT && !queue.isLong) await refreshQueuePlans(sql);
  queue.isLong = offered >= (queue.isLong ? HINT_LIMIT / 2 : HINT_LIMIT);
}

/**
 * Lost hints, those passed over, and retries that have become due: adding one that is there already changes nothing.
 * Resolves to how many were offered, which are not all of a long queue.
 */
export async function offerReady({
  sql,
  coordination,
  logger,
}: Pick<ReconcilerPorts, "sql" | "coordination" | "logger">): Promise<number> {
  const hints = await readyHints(sql, { limit: HINT_LIMIT });
  if (hints.length > 0) await hurry(logger, () => coordination.readyQueue.add(hints));
  return hints.length;
}

async function untilNextRound({ sql, tickIntervalMs }: ReconcilerPorts): Promise<number> {
  const dueMs = await nextDueMs(sql);
  return dueMs === null ? tickIntervalMs : Math.min(tickIntervalMs, Math.max(ROUND_MS_MIN, dueMs));
}

export interface RoundWork {
  /** Also keeps a sample of this replica, whoever has the turn. */
  readonly samples?: boolean;
  /** Also deletes what has expired and what nobody will publish. */
  readonly tidies: boolean;
  /** Also removes work folders that nobody works in. */
  readonly sweeps: boolean;
}

/** Resolves to the milliseconds until the next round is due. */
export async function runRound(
  ports: ReconcilerPorts,
  { tidies, sweeps, samples = false }: RoundWork,
  queue: QueueState = { isLong: false },
): Promise<number> {
  const { sql, coordination, tickIntervalMs, holder } = ports;
  if (sweeps) await ports.workFolders?.sweep(() => processingAttempts(sql));
  if (samples) await ports.recordSample();
  const tick = await advanceTick(sql, tickIntervalMs);
  if (tick !== null) await hurry(ports.logger, () => coordination.bus.publish(channels.tick, { tick }));
  // The turn saves work between replicas; it protects nothing.
  if (!(await takeTurn(sql, { name: TURN, holder, ttlMs: tickIntervalMs * 2 }))) return tickIntervalMs;
  await mend(ports, queue);
  if (tidies) {
    const aged = await ageJobs(sql, { afterMs: ports.ageAfterMs ?? AGE_AFTER_MS, limit: HINT_LIMIT });
    if (aged.length > 0) await hurry(ports.logger, () => coordination.readyQueue.add(aged));
    await retireSilentWorkers(sql, ports.reapAfterTicks * 4);
    await forgetWorkers(sql, FORGET_LIMIT);
    await tidy(ports);
  }
  return untilNextRound(ports);
}

export function makeReconcilerLogic(ports: ReconcilerPorts) {
  // By time and not by rounds: a storm of retries makes many of those.
  let tidyAtMs = Number.NEGATIVE_INFINITY;
  let sweepAtMs = Number.NEGATIVE_INFINITY;
  const sampleEveryMs = ports.sampleEveryMs ?? SAMPLE_EVERY_MS;
  // Of a process that has only begun there is nothing to say.
  let sampleAtMs = performance.now() + sampleEveryMs;
  const queue: QueueState = { isLong: false };
  return reconcilerMachine.provide({
    actors: {
      round: fromPromise<number>(async () => {
        const nowMs = performance.now();
        const tidies = nowMs >= tidyAtMs;
        const sweeps = nowMs >= sweepAtMs;
        const samples = nowMs >= sampleAtMs;
        if (samples) sampleAtMs = nowMs + sampleEveryMs;
        if (sweeps) sweepAtMs = nowMs + SWEEP_EVERY_TICKS * ports.tickIntervalMs;
        if (tidies) tidyAtMs = nowMs + TIDY_EVERY_TICKS * ports.tickIntervalMs;
        try {
          return await runRound(ports, { tidies, sweeps, samples }, queue);
        } catch (error) {
          ports.logger.warn({ err: error }, "a round of the reconciler failed; the next one tries again");
          throw error;
        }
      }),
      listen: fromCallback(({ sendBack }) => {
        const subscription = ports.coordination.bus.subscribe(channels.due, () => sendBack({ type: "due.changed" }));
        subscription.catch((error: unknown) =>
          ports.logger.warn({ err: error }, "the reconciler could not subscribe to the bus"),
        );
        return () => void subscription.then((unsubscribe) => unsubscribe()).catch(() => {});
      }),
      endTurn: fromPromise(() => endTurn(ports.sql, { name: TURN, holder: ports.holder })),
    },
  });
}

export type ReconcilerLogic = ReturnType<typeof makeReconcilerLogic>;

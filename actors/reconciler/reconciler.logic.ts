/** What a round of the reconciler does. Each part is safe to run anywhere, at any time, twice at once. */
import { fromPromise } from "xstate";
import { type Coordination, channels } from "../../src/coordination/ports.ts";
import type { Sql } from "../../src/database/sql.ts";
import { publishChange } from "../../src/events/messages.ts";
import { takeTurn } from "../../src/jobs/leases.ts";
import { advanceTick, retireSilentWorkers } from "../../src/jobs/liveness.ts";
import { nextDueAt, readyHints } from "../../src/jobs/ready.ts";
import { type ReapedJob, reapDeadWorkers } from "../../src/jobs/reap.ts";
import type { StorageRegistry } from "../../src/storage/port.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import type { Metrics } from "../../src/telemetry/metrics.ts";
import type { WorkFolders } from "../../src/work-folders/work-folders.ts";
import { type RoundInput, reconcilerMachine } from "./reconciler.machine.ts";
import { tidy } from "./tidy.ts";

export interface ReconcilerPorts {
  readonly sql: Sql;
  readonly coordination: Coordination;
  readonly storage: StorageRegistry;
  readonly workFolders: WorkFolders;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** This process; two reconcilers of one process would be one too many. */
  readonly holder: string;
  readonly tickIntervalMs: number;
  readonly reapAfterTicks: number;
  readonly poisonAfter: number;
  readonly publishTimeoutMs: number;
  readonly retentionJobsMs: number | null;
  readonly retentionOutputsMs: number | null;
}

const REAP_LIMIT = 200;
const HINT_LIMIT = 1_000;
const ROUND_MS_MIN = 50;
/** Sweeping and retention look at more rows and hurry nobody. */
const TIDY_EVERY_ROUNDS = 12;

export async function tellReaped(
  { coordination, logger, metrics }: Pick<ReconcilerPorts, "coordination" | "logger" | "metrics">,
  reaped: readonly ReapedJob[],
): Promise<void> {
  const ready = reaped.filter(({ outcome }) => outcome === "queued" || outcome === "republish");
  await coordination.readyQueue.add(ready.map(({ jobId, priority, rank }) => ({ jobId, priority, rank })));
  for (const { jobId, outcome } of reaped) {
    logger.warn({ jobId, outcome }, "a job was taken from a dead worker");
    if (outcome === "poisoned") metrics.jobFinished({ status: "failed", type: "convert", durationSeconds: null });
    else if (outcome === "cancelled")
      metrics.jobFinished({ status: "cancelled", type: "convert", durationSeconds: null });
    else metrics.jobRetried("worker.lost");
    await publishChange(coordination.bus, jobId);
  }
}

async function mend(ports: ReconcilerPorts): Promise<void> {
  const { sql, coordination, reapAfterTicks, poisonAfter } = ports;
  const reaped = await reapDeadWorkers(sql, { ticksBehind: reapAfterTicks, poisonAfter, limit: REAP_LIMIT });
  if (reaped.length > 0) await tellReaped(ports, reaped);
  // Lost hints and retries that have become due: adding one that is there already changes nothing.
  const hints = await readyHints(sql, { limit: HINT_LIMIT });
  if (hints.length > 0) await coordination.readyQueue.add(hints);
}

async function untilNextRound({ sql, tickIntervalMs }: ReconcilerPorts): Promise<number> {
  const due = await nextDueAt(sql);
  if (due === null) return tickIntervalMs;
  return Math.min(tickIntervalMs, Math.max(ROUND_MS_MIN, due.getTime() - Date.now()));
}

export async function runRound(ports: ReconcilerPorts, { round }: RoundInput): Promise<number> {
  const { sql, coordination, tickIntervalMs, holder } = ports;
  const tick = await advanceTick(sql, tickIntervalMs);
  if (tick !== null) await coordination.bus.publish(channels.tick, { tick });
  // The turn saves work between replicas; it protects nothing.
  if (!(await takeTurn(sql, { name: "reconciler", holder, ttlMs: tickIntervalMs * 2 }))) return tickIntervalMs;
  await mend(ports);
  if (round % TIDY_EVERY_ROUNDS === 0) {
    await retireSilentWorkers(sql, ports.reapAfterTicks * 4);
    await tidy(ports);
  }
  return untilNextRound(ports);
}

export function makeReconcilerLogic(ports: ReconcilerPorts) {
  return reconcilerMachine.provide({
    actors: {
      round: fromPromise<number, RoundInput>(async ({ input }) => {
        try {
          return await runRound(ports, input);
        } catch (error) {
          ports.logger.warn({ err: error }, "a round of the reconciler failed; the next one tries again");
          throw error;
        }
      }),
    },
  });
}

export type ReconcilerLogic = ReturnType<typeof makeReconcilerLogic>;

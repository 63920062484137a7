/**
 * Keeps a worker's leases, and ends what it no longer holds. One statement per interval, whatever runs.
 *
 * Two ways to learn that a lease is gone: the answer of a heartbeat no longer names it, or the ticks heard on the bus
 * run ahead of the last accepted heartbeat, which means that this worker is the one that is cut off.
 */
import { type Coordination, channels, names } from "../../src/coordination/ports.ts";
import type { Sql } from "../../src/database/sql.ts";
import { giveBack } from "../../src/jobs/finish.ts";
import { type Heartbeat, heartbeat } from "../../src/jobs/liveness.ts";
import { type HeldLease, isCutOff, reconcileHeld } from "../../src/jobs/liveness-rules.ts";
import type { JobId } from "../../src/jobs/types.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import { runs } from "./ledger.ts";
import type { ServiceInput, WorkerEvent } from "./worker.machine.ts";

export interface HeartbeatPorts {
  readonly sql: Sql;
  readonly coordination: Coordination;
  readonly logger: Logger;
  readonly tickIntervalMs: number;
  readonly reapAfterTicks: number;
  readonly leaseTtlMs: number;
}

type Listener = (message: Readonly<Record<string, unknown>>) => void;

/** Without the bus a worker learns the same from its heartbeats, only later. */
function listenTo({ coordination, logger }: HeartbeatPorts, listeners: Readonly<Record<string, Listener>>): () => void {
  const subscriptions = Object.entries(listeners).map(([name, listener]) => coordination.bus.subscribe(name, listener));
  for (const subscription of subscriptions) {
    subscription.catch((error: unknown) => logger.warn({ err: error }, "the worker could not subscribe to the bus"));
  }
  return () => {
    for (const subscription of subscriptions) subscription.then((unsubscribe) => unsubscribe()).catch(() => {});
  };
}

/** What an accepted heartbeat calls for: claims whose reply was lost go back, and the locks mirror the leases again. */
async function settle(
  { sql, coordination, leaseTtlMs }: HeartbeatPorts,
  { workerId, ledger }: ServiceInput,
  stray: readonly HeldLease[],
): Promise<void> {
  for (const lease of stray) {
    // Claimed after the heartbeat was sent, and running by now.
    if (!runs(ledger, lease)) await giveBack(sql, { ...lease, workerId });
  }
  for (const jobId of ledger.running.keys()) {
    // A mirror: losing it changes nothing.
    await coordination.locks.renew(names.jobLock(jobId), workerId, leaseTtlMs).catch(() => false);
  }
}

export function startHeartbeat(
  ports: HeartbeatPorts,
  input: ServiceInput,
  send: (event: WorkerEvent) => void,
): { stop(): void } {
  const { sql, logger, reapAfterTicks } = ports;
  const { workerId, ledger, draining } = input;
  let acceptedTick: number | null = null;
  let stopped = false;
  let beating = false;

  async function conclude(
    answer: Heartbeat,
    sent: readonly { jobId: JobId; leaseToken: number }[],
    claiming: boolean,
  ): Promise<void> {
    if (!answer.accepted) {
      logger.error({ workerId }, "this worker's row says that it left; it starts again under a new id");
      send({ type: "evicted" });
      return;
    }
    acceptedTick = answer.tick;
    const { giveBack: stray, kill } = reconcileHeld(answer.held, sent, claiming || ledger.claiming > 0);
    for (const lease of kill) {
      // Unless it has ended meanwhile and this worker runs the job again under a new lease.
      if (runs(ledger, lease)) send({ type: "lease.lost", jobId: lease.jobId });
    }
    for (const { jobId, cancelRequested } of answer.held) {
      if (cancelRequested) send({ type: "cancel.requested", jobId });
    }
    await settle(ports, input, stray);
  }

  async function beat(): Promise<void> {
    if (beating || stopped) return; // One that waits for its deadline is not joined by another.
    beating = true;
    try {
      const sent = [...ledger.running.values()];
      const claiming = ledger.claiming > 0;
      const answer = await heartbeat(sql, { workerId, draining });
      if (!stopped) await conclude(answer, sent, claiming);
    } catch (error) {
      // Without an answer nothing is concluded: the fence makes a worker that goes on harmless.
      logger.warn({ err: error }, "a heartbeat was not answered");
    } finally {
      beating = false;
    }
  }

  const onTick = (message: Readonly<Record<string, unknown>>): void => {
    const { tick } = message;
    if (typeof tick !== "number" || acceptedTick === null || stopped) return;
    if (isCutOff(tick, acceptedTick, reapAfterTicks)) send({ type: "leases.lost" });
  };
  const onCancel = (message: Readonly<Record<string, unknown>>): void => {
    const jobId = message.job_id as JobId;
    if (!stopped && ledger.running.has(jobId)) send({ type: "cancel.requested", jobId });
  };

  const unsubscribe = listenTo(ports, { [channels.tick]: onTick, [channels.cancel]: onCancel });
  const timer = setInterval(() => void beat(), ports.tickIntervalMs);
  void beat();
  return {
    stop() {
      stopped = true;
      clearInterval(timer);
      unsubscribe();
    },
  };
}

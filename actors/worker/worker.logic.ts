/** Gives the worker's chart its hands. */
import { type DoneActorEvent, fromCallback, fromPromise } from "xstate";
import { names } from "../../src/coordination/ports.ts";
import { registerWorker, workerLeft } from "../../src/jobs/liveness.ts";
import type { WorkerId } from "../../src/jobs/types.ts";
import type { Capabilities } from "../../src/media/types.ts";
import type { Metrics } from "../../src/telemetry/metrics.ts";
import type { AttemptLogic } from "../attempt/attempt.logic.ts";
import type { AttemptOutput } from "../attempt/attempt.types.ts";
import { type DispatchPorts, startDispatch } from "./dispatch.ts";
import { type HeartbeatPorts, startHeartbeat } from "./heartbeat.ts";
import { attemptOf, type ServiceInput, workerMachine } from "./worker.machine.ts";

export interface WorkerPorts extends DispatchPorts, HeartbeatPorts {
  readonly attempt: AttemptLogic;
  readonly role: "worker" | "combined";
  readonly version: string;
  readonly capabilities: Capabilities;
  readonly metrics: Metrics;
  readonly drainTimeoutMs: number;
}

export function makeWorkerLogic(ports: WorkerPorts) {
  const { sql, logger, metrics, coordination } = ports;
  return workerMachine.provide({
    actors: {
      attempt: ports.attempt,
      register: fromPromise<WorkerId, { slots: number }>(async ({ input }) => {
        const workerId = Bun.randomUUIDv7() as WorkerId;
        await registerWorker(sql, {
          workerId,
          role: ports.role,
          version: ports.version,
          slots: input.slots,
          jobTypes: ports.jobTypes,
          priorities: ports.priorities,
          capabilities: ports.capabilities,
        });
        logger.info({ workerId, slots: input.slots }, "the worker takes jobs");
        return workerId;
      }),
      dispatch: fromCallback<{ type: "slot.freed" }, ServiceInput>(({ input, sendBack, receive }) => {
        const dispatch = startDispatch(ports, input, (claim) => sendBack({ type: "job.claimed", claim }));
        receive(() => dispatch.slotFreed());
        return dispatch.stop;
      }),
      heartbeat: fromCallback<{ type: "none" }, ServiceInput>(
        ({ input, sendBack }) => startHeartbeat(ports, input, sendBack).stop,
      ),
      leave: fromPromise<void, { workerId: WorkerId | null }>(async ({ input }) => {
        if (input.workerId !== null) await workerLeft(sql, input.workerId);
      }),
    },
    delays: { drainTimeout: ports.drainTimeoutMs },
    actions: {
      noteClaim: ({ context, event }) => {
        if (event.type !== "job.claimed") return;
        const { job, lease } = event.claim;
        metrics.workerActive(Object.keys(context.active).length);
        const readyAt = Math.max(job.runAt.getTime(), job.createdAt.getTime());
        metrics.queueWaited((Date.now() - readyAt) / 1000);
        logger.info({ jobId: job.id, attempt: job.attempt, leaseToken: lease.leaseToken }, "attempt started");
      },
      noteOutcome: ({ context, event }) => {
        const active = attemptOf(context, event);
        if (active === null) return;
        const { job, lease } = active.claim;
        const output = (event as DoneActorEvent<AttemptOutput | undefined>).output;
        const outcome = output?.outcome ?? "abandoned";
        metrics.workerActive(Object.keys(context.active).length - 1);
        if (outcome === "completed" || outcome === "failed" || outcome === "cancelled") {
          const since = job.startedAt ?? new Date();
          metrics.jobFinished({
            status: outcome,
            type: job.type,
            durationSeconds: (Date.now() - since.getTime()) / 1000,
          });
        } else if (outcome === "retrying") {
          const kind = output?.error?.kind ?? "internal";
          metrics.jobRetried(kind as Parameters<Metrics["jobRetried"]>[0]);
        } else if (outcome === "abandoned") {
          metrics.leaseLost();
        }
        const fields = { jobId: job.id, attempt: job.attempt, outcome };
        if (output?.error) logger.warn({ ...fields, err: output.error }, "attempt ended");
        else logger.info(fields, "attempt ended");
        coordination.locks.release(names.jobLock(job.id), lease.workerId).catch(() => {});
      },
    },
  });
}

export type WorkerLogic = ReturnType<typeof makeWorkerLogic>;

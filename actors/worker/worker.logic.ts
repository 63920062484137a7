/** Gives the worker's chart its hands. */
import { type DoneActorEvent, fromCallback, fromPromise } from "xstate";
import { channels, names } from "../../src/coordination/ports.ts";
import { workerClass } from "../../src/jobs/fleet.ts";
import { registerWorker, workerLeft } from "../../src/jobs/liveness.ts";
import type { Claim, WorkerId } from "../../src/jobs/types.ts";
import type { Capabilities } from "../../src/media/types.ts";
import type { LogFields } from "../../src/telemetry/logger.ts";
import type { Metrics } from "../../src/telemetry/metrics.ts";
import { parseTraceparent } from "../../src/telemetry/trace-context.ts";
import type { Tracer } from "../../src/telemetry/tracer.ts";
import type { AttemptLogic } from "../attempt/attempt.logic.ts";
import type { AttemptOutput } from "../attempt/attempt.types.ts";
import { timerMs } from "../timer.ts";
import { type DispatchPorts, startDispatch } from "./dispatch.ts";
import { type HeartbeatPorts, startHeartbeat } from "./heartbeat.ts";
import type { Ledger } from "./ledger.ts";
import { attemptOf, type ServiceInput, workerMachine } from "./worker.machine.ts";

export interface WorkerPorts extends DispatchPorts, HeartbeatPorts {
  readonly attempt: AttemptLogic;
  readonly role: "worker" | "combined";
  readonly version: string;
  readonly capabilities: Capabilities;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly drainTimeoutMs: number;
}

/** After DRAIN_TIMEOUT: to stop FFmpeg and to record that the job was put back. */
const PUT_BACK_MS = 10_000;

async function register(ports: WorkerPorts, slots: number): Promise<WorkerId> {
  const { logger, role, version, jobTypes, priorities, capabilities } = ports;
  const workerId = Bun.randomUUIDv7() as WorkerId;
  try {
    await registerWorker(ports.sql, {
      ...{ workerId, role, version, slots, jobTypes, priorities, capabilities, class: workerClass(ports) },
    });
  } catch (error) {
    logger.warn({ err: error }, "the worker could not register; trying again");
    throw error;
  }
  logger.info({ workerId, slots }, "the worker takes jobs");
  return workerId;
}

/** What every line about an attempt says of it. */
export const aboutClaim = ({ job }: Claim): LogFields => ({
  ...{ jobId: job.id, attempt: job.attempt, requestId: job.requestId },
  ...(job.traceparent === null ? {} : { traceId: parseTraceparent(job.traceparent)?.traceId }),
});

export function makeWorkerLogic(ports: WorkerPorts) {
  const { sql, logger, metrics, tracer, coordination } = ports;
  return workerMachine.provide({
    actors: {
      attempt: ports.attempt,
      register: fromPromise<WorkerId, { slots: number }>(({ input }) => register(ports, input.slots)),
      dispatch: fromCallback<{ type: "slot.freed" }, ServiceInput>(({ input, sendBack, receive }) => {
        const dispatch = startDispatch(ports, input, (claim) => sendBack({ type: "job.claimed", claim }));
        receive(() => dispatch.slotFreed());
        return () => dispatch.stop();
      }),
      heartbeat: fromCallback<{ type: "none" }, ServiceInput>(
        ({ input, sendBack }) => startHeartbeat(ports, input, sendBack).stop,
      ),
      leave: fromPromise<void, { workerId: WorkerId | null; ledger: Ledger }>(async ({ input }) => {
        // A claim that was under way is given back first: the jobs of a worker that left count as crashed.
        await input.ledger.dispatched;
        if (input.workerId !== null) await workerLeft(sql, input.workerId);
      }),
    },
    delays: {
      drainTimeout: timerMs(ports.drainTimeoutMs),
      drainLimit: timerMs(ports.drainTimeoutMs + PUT_BACK_MS),
    },
    actions: {
      noteClaim: ({ context, event }) => {
        if (event.type !== "job.claimed") return;
        const { job, lease } = event.claim;
        metrics.workerActive(Object.keys(context.active).length);
        const readyAt = Math.max(job.runAt.getTime(), job.createdAt.getTime());
        // Both are the database's: the claim wrote the later one.
        metrics.queueWaited({ priority: job.priority, seconds: (job.updatedAt.getTime() - readyAt) / 1000 });
        logger.info({ ...aboutClaim(event.claim), leaseToken: lease.leaseToken }, "attempt started");
      },
      noteOutcome: ({ context, event }) => {
        const active = attemptOf(context, event);
        if (active === null) return;
        const { job, lease } = active.claim;
        const output = (event as DoneActorEvent<AttemptOutput | undefined>).output;
        const outcome = output?.outcome ?? "abandoned";
        tracer.attemptEnded({ claim: active.claim, outcome, error: output?.error?.kind ?? null });
        metrics.workerActive(Object.keys(context.active).length - 1);
        if (outcome === "completed" || outcome === "failed" || outcome === "cancelled") {
          const since = job.startedAt ?? new Date();
          metrics.jobFinished({
            status: outcome,
            type: job.type,
            error: output?.error?.kind ?? null,
            durationSeconds: (Date.now() - since.getTime()) / 1000,
          });
          tracer.jobEnded({ job, status: outcome, error: output?.error?.kind ?? null });
        } else if (outcome === "retrying") {
          const kind = output?.error?.kind ?? "internal";
          metrics.jobRetried(kind as Parameters<Metrics["jobRetried"]>[0]);
          // The reconciler sleeps until the next job it knows of is due; this one may be due before.
          coordination.bus.publish(channels.due, { job_id: job.id }).catch(() => {});
        } else if (outcome === "abandoned") {
          metrics.leaseLost();
        }
        const fields = { ...aboutClaim(active.claim), outcome };
        if (output?.error) logger.warn({ ...fields, err: output.error }, "attempt ended");
        else logger.info(fields, "attempt ended");
        coordination.locks.release(names.jobLock(job.id), lease.workerId).catch(() => {});
      },
    },
  });
}

export type WorkerLogic = ReturnType<typeof makeWorkerLogic>;

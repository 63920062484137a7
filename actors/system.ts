/** The actor system of a process: one root, which everything else runs under. */
import { toPromise } from "xstate";
import type { WorkerId } from "../src/jobs/types.ts";
import type { Logger } from "../src/telemetry/logger.ts";
import type { CourierLogic } from "./courier/courier.logic.ts";
import { type LiveActor, liveActors } from "./live-actors.ts";
import type { ReconcilerLogic } from "./reconciler/reconciler.logic.ts";
import { spawnRoot } from "./spawn-root.ts";
import { systemMachine } from "./system.machine.ts";
import type { WorkerLogic } from "./worker/worker.logic.ts";

export interface SystemPorts {
  /** Null in an API replica, which has no slots either. */
  readonly worker: WorkerLogic | null;
  readonly reconciler: ReconcilerLogic;
  readonly courier: CourierLogic;
  readonly slots: number;
  readonly logger: Logger;
}

export interface RunningSystem {
  /** What lives in it now. `workerId` is null before a worker has registered, and where there is none. */
  describe(): { readonly workerId: WorkerId | null; readonly actors: readonly LiveActor[] };
  /** Stops claiming; running attempts finish or are put back. Resolves when all of it has ended. Idempotent. */
  drain(): Promise<void>;
  /** Rejects if the system fails; resolves when it was drained. */
  readonly ended: Promise<void>;
}

export function startSystem({ worker, reconciler, courier, slots, logger }: SystemPorts): RunningSystem {
  const services = { reconciler, courier };
  const actors = worker === null ? services : { ...services, worker };
  const logic = systemMachine.provide({ actors });
  const actor = spawnRoot(logic, { id: "system", input: { slots }, logger });
  const ended = toPromise(actor).then(() => {});
  // Whoever drains hears of it; without a drain the process does.
  ended.catch(() => {});
  return {
    ended,
    describe() {
      const context = actor.getSnapshot().children.worker?.getSnapshot().context;
      const workerId = context !== undefined && "workerId" in context ? context.workerId : null;
      return { workerId, actors: liveActors(actor) };
    },
    drain() {
      // What has ended hears nothing any more, and would say so in the log.
      if (actor.getSnapshot().status === "active") actor.send({ type: "drain" });
      return ended;
    },
  };
}

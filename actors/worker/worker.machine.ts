/**
 * A worker: slots, a dispatcher that fills them, a heartbeat that keeps their leases, and one attempt actor per job.
 *
 *   registering ▶ running ── drain ▶ draining ▶ leaving ▶ stopped
 *        ▲           └─ evicted ▶ clearing ─┐
 *        └──────────────────────────────────┘
 *
 * `evicted`: the worker's row says that it left, so whatever it runs is somebody else's; it kills that and comes back
 * under a new id. A new id at each start keeps leases of the past from ever matching.
 */
import {
  type ActorRefFrom,
  assign,
  type DoneActorEvent,
  type ErrorActorEvent,
  fromCallback,
  fromPromise,
  setup,
  stopChild,
} from "xstate";
import type { Claim, JobId, WorkerId } from "../../src/jobs/types.ts";
import { attemptMachine } from "../attempt/attempt.machine.ts";
import type { AttemptOutput } from "../attempt/attempt.types.ts";
import { type Ledger, makeLedger } from "./ledger.ts";

export interface ActiveAttempt {
  readonly claim: Claim;
  readonly ref: ActorRefFrom<typeof attemptMachine>;
}

export interface WorkerContext {
  readonly slots: number;
  readonly workerId: WorkerId | null;
  readonly active: Readonly<Record<JobId, ActiveAttempt>>;
  readonly ledger: Ledger;
}

export type WorkerEvent =
  | { readonly type: "job.claimed"; readonly claim: Claim }
  | { readonly type: "lease.lost"; readonly jobId: JobId }
  | { readonly type: "leases.lost" }
  | { readonly type: "cancel.requested"; readonly jobId: JobId }
  | { readonly type: "evicted" }
  | { readonly type: "drain" }
  | DoneActorEvent<AttemptOutput>
  | ErrorActorEvent;

/** What the dispatcher and the heartbeat work with. */
export interface ServiceInput {
  readonly workerId: WorkerId;
  readonly slots: number;
  readonly ledger: Ledger;
  readonly draining: boolean;
}

const missing = (name: string) => (): never => {
  throw new Error(`The worker's ${name} actor was not provided.`);
};

const serviceInput =
  (draining: boolean) =>
  ({ context }: { context: WorkerContext }): ServiceInput => {
    if (context.workerId === null) throw new Error("The worker has not registered.");
    return { workerId: context.workerId, slots: context.slots, ledger: context.ledger, draining };
  };

const attemptId = ({ lease }: Claim): string => `attempt-${lease.jobId}-${lease.leaseToken}`;

/** Whose end an event tells; null when it is no attempt's. */
export function attemptOf(context: WorkerContext, event: WorkerEvent): ActiveAttempt | null {
  const { actorId } = event as DoneActorEvent<AttemptOutput>;
  return Object.values(context.active).find(({ claim }) => attemptId(claim) === actorId) ?? null;
}

function tellAll(context: WorkerContext, type: "lease.lost" | "drain.expired"): void {
  for (const { ref } of Object.values(context.active)) ref.send({ type });
}

const isIdle = ({ context }: { context: WorkerContext }): boolean => Object.keys(context.active).length === 0;

const endAttempt = ["noteOutcome", "forgetAttempt", "stopAttempt", "freeSlot"] as const;

export const workerMachine = setup({
  types: {} as {
    context: WorkerContext;
    events: WorkerEvent;
    input: { slots: number };
  },
  actors: {
    attempt: attemptMachine,
    register: fromPromise<WorkerId, { slots: number }>(missing("register")),
    dispatch: fromCallback<{ type: "slot.freed" }, ServiceInput>(missing("dispatch")),
    heartbeat: fromCallback<{ type: "none" }, ServiceInput>(missing("heartbeat")),
    leave: fromPromise<void, { workerId: WorkerId | null; ledger: Ledger }>(missing("leave")),
  },
  delays: { drainTimeout: 0, drainLimit: 0, registerRetry: 1_000 },
  guards: { isIdle, isAttempt: ({ context, event }) => attemptOf(context, event) !== null },
  actions: {
    /** Logs and counts; provided by the logic. */
    noteClaim: () => {},
    noteOutcome: () => {},
    startAttempt: assign(({ context, spawn, event }) => {
      if (event.type !== "job.claimed") return {};
      const { claim } = event;
      const ref = spawn("attempt", { id: attemptId(claim), input: { claim } });
      context.ledger.running.set(claim.lease.jobId, claim.lease);
      return { active: { ...context.active, [claim.lease.jobId]: { claim, ref } } };
    }),
    /** A finished child stays in memory until it is stopped. */
    stopAttempt: stopChild(({ event }) => (event as DoneActorEvent<AttemptOutput>).actorId),
    forgetAttempt: assign(({ context, event }) => {
      const ended = attemptOf(context, event);
      if (ended === null) return {};
      const { [ended.claim.lease.jobId]: _ended, ...rest } = context.active;
      context.ledger.running.delete(ended.claim.lease.jobId);
      return { active: rest };
    }),
    freeSlot: ({ self }) => self.getSnapshot().children.dispatch?.send({ type: "slot.freed" }),
    tellAttempt: ({ context, event }) => {
      if (event.type !== "lease.lost" && event.type !== "cancel.requested") return;
      context.active[event.jobId]?.ref.send({ type: event.type });
    },
    loseAll: ({ context }) => tellAll(context, "lease.lost"),
    expireAll: ({ context }) => tellAll(context, "drain.expired"),
  },
}).createMachine({
  id: "worker",
  context: ({ input }) => ({ slots: input.slots, workerId: null, active: {}, ledger: makeLedger() }),
  initial: "registering",
  on: {
    "lease.lost": { actions: "tellAttempt" },
    "cancel.requested": { actions: "tellAttempt" },
    "leases.lost": { actions: "loseAll" },
    "xstate.done.actor.*": { guard: "isAttempt", actions: endAttempt },
    // An attempt that fails in a way it should not ends alone; its job is given back by the next heartbeat.
    "xstate.error.actor.*": { guard: "isAttempt", actions: endAttempt },
  },
  states: {
    registering: {
      on: { drain: "stopped" },
      invoke: {
        id: "register",
        src: "register",
        input: ({ context }) => ({ slots: context.slots }),
        onDone: { target: "running", actions: assign({ workerId: ({ event }) => event.output }) },
        onError: "waitingToRegister",
      },
    },
    waitingToRegister: { on: { drain: "stopped" }, after: { registerRetry: "registering" } },
    running: {
      on: {
        "job.claimed": { actions: ["startAttempt", "noteClaim"] },
        evicted: "clearing",
        drain: "draining",
      },
      invoke: [
        { id: "dispatch", src: "dispatch", input: serviceInput(false) },
        { id: "heartbeat", src: "heartbeat", input: serviceInput(false) },
      ],
    },
    clearing: { entry: "loseAll", on: { drain: "draining" }, always: { guard: "isIdle", target: "registering" } },
    draining: {
      invoke: { id: "heartbeat", src: "heartbeat", input: serviceInput(true) },
      on: { evicted: { actions: "loseAll" } },
      after: {
        drainTimeout: { actions: "expireAll" },
        // What cannot even be put back, because the database is away, must not keep the process from ending.
        drainLimit: { actions: "loseAll" },
      },
      always: { guard: "isIdle", target: "leaving" },
    },
    leaving: {
      invoke: {
        id: "leave",
        src: "leave",
        input: ({ context }) => ({ workerId: context.workerId, ledger: context.ledger }),
        onDone: "stopped",
        onError: "stopped",
      },
    },
    stopped: { type: "final" },
  },
});

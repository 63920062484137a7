/**
 * The courier: claims webhook deliveries and sends each in an actor of its own, on any replica and on several at once.
 *
 *   claiming ⇄ waiting ── stop ▶ ending (what is under way is finished) ▶ stopped
 *
 * It claims again when a delivery has ended, when it hears of a new one, and when the next is due. A courier that dies
 * leaves leases that run out; its deliveries are then sent by another, perhaps a second time.
 */
import {
  assign,
  type DoneActorEvent,
  type ErrorActorEvent,
  fromCallback,
  fromPromise,
  raise,
  setup,
  stopChild,
} from "xstate";
import type { ClaimedDelivery } from "../../src/webhooks/deliveries.ts";

export type CourierEvent =
  | { readonly type: "stop" }
  /** There may be something to send: a job has ended, or a delivery has made room. */
  | { readonly type: "look" }
  | DoneActorEvent
  | ErrorActorEvent;

export interface ClaimResult {
  readonly claimed: readonly ClaimedDelivery[];
  /** Milliseconds until it is worth looking again by itself. */
  readonly delayMs: number;
}

export interface CourierContext {
  /** Deliveries at once, to all hosts together. */
  readonly concurrency: number;
  /** Ids of the children that send. */
  readonly active: ReadonlySet<string>;
  readonly delayMs: number;
  /** Something happened while a claim was under way, which may have looked before. */
  readonly again: boolean;
  readonly stopping: boolean;
}

const missing = (name: string) => (): never => {
  throw new Error(`The courier's ${name} actor was not provided.`);
};

const childId = ({ id, leaseToken }: ClaimedDelivery): string => `delivery-${id}-${leaseToken}`;
const actorIdOf = (event: CourierEvent): string => ("actorId" in event ? event.actorId : "");

export const courierMachine = setup({
  types: {} as { context: CourierContext; events: CourierEvent; input: { concurrency: number } },
  actors: {
    claim: fromPromise<ClaimResult, { free: number }>(missing("claim")),
    /** Sends one and records what became of it. */
    delivery: fromPromise<void, ClaimedDelivery>(missing("delivery")),
    /** Sends `look`. */
    listen: fromCallback<{ type: "none" }>(missing("listen")),
  },
  actions: {
    start: assign(({ context, event, spawn }) => {
      const { claimed, delayMs } = (event as DoneActorEvent<ClaimResult>).output;
      for (const delivery of claimed) spawn("delivery", { id: childId(delivery), input: delivery });
      return { delayMs, active: new Set([...context.active, ...claimed.map(childId)]) };
    }),
    forget: assign({
      active: ({ context, event }) => new Set([...context.active].filter((id) => id !== actorIdOf(event))),
    }),
    /** A finished child stays in memory until it is stopped. */
    stop: stopChild(({ event }) => actorIdOf(event)),
    noteStop: assign({ stopping: true }),
  },
  guards: {
    isDelivery: ({ context, event }) => context.active.has(actorIdOf(event)),
    isIdle: ({ context }) => context.active.size === 0,
    isStopping: ({ context }) => context.stopping,
    again: ({ context }) => context.again,
  },
  delays: { nextLook: ({ context }) => context.delayMs, afterError: 1_000 },
}).createMachine({
  id: "courier",
  context: ({ input }) => ({ ...input, active: new Set(), delayMs: 0, again: false, stopping: false }),
  initial: "claiming",
  invoke: { id: "listen", src: "listen" },
  on: {
    "xstate.done.actor.*": { guard: "isDelivery", actions: ["forget", "stop", raise({ type: "look" })] },
    // One that could not even be recorded is sent again when its lease is over.
    "xstate.error.actor.*": { guard: "isDelivery", actions: ["forget", "stop", raise({ type: "look" })] },
  },
  states: {
    claiming: {
      entry: assign({ again: false }),
      on: { look: { actions: assign({ again: true }) }, stop: { actions: "noteStop" } },
      invoke: {
        id: "claim",
        src: "claim",
        input: ({ context }) => ({ free: context.concurrency - context.active.size }),
        onDone: { target: "waiting", actions: "start" },
        onError: "recovering",
      },
    },
    waiting: {
      always: [
        { guard: "isStopping", target: "ending" },
        { guard: "again", target: "claiming" },
      ],
      on: { look: "claiming", stop: "ending" },
      after: { nextLook: "claiming" },
    },
    recovering: {
      always: { guard: "isStopping", target: "ending" },
      on: { stop: "ending" },
      after: { afterError: "claiming" },
    },
    ending: { always: { guard: "isIdle", target: "stopped" } },
    stopped: { type: "final" },
  },
});

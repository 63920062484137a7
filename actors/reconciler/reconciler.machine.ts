/**
 * The reconciler: rounds of mending what was lost, on any replica and on several at once without harm.
 *
 *   working ⇄ waiting ── stop ▶ stopped
 *
 * A round advances the tick, reaps, and puts back lost hints; now and then it also sweeps and deletes what has expired.
 * A round that is under way when it is told to stop is finished first, so that nothing uses what is closed afterwards.
 */
import { assign, fromCallback, fromPromise, setup } from "xstate";

export type ReconcilerEvent =
  | { readonly type: "stop" }
  /** A job was put back until a time that the last round did not know of. */
  | { readonly type: "due.changed" };

export interface ReconcilerContext {
  readonly delayMs: number;
  readonly stopping: boolean;
  /** `due.changed` came while a round was under way, which may have looked before. */
  readonly again: boolean;
}

export const reconcilerMachine = setup({
  types: {} as { context: ReconcilerContext; events: ReconcilerEvent; input: Record<string, never> },
  actors: {
    /** Resolves to the milliseconds until the next round is due. */
    round: fromPromise<number>(() => {
      throw new Error("The reconciler's round actor was not provided.");
    }),
    /** Hears of retries and sends `due.changed`. */
    listen: fromCallback<{ type: "none" }>(() => {
      throw new Error("The reconciler's listen actor was not provided.");
    }),
    /** Ends this process's turn, so that the next one does not wait for it. */
    endTurn: fromPromise<void>(() => {
      throw new Error("The reconciler's endTurn actor was not provided.");
    }),
  },
  delays: { nextRound: ({ context }) => context.delayMs, afterError: 1_000 },
}).createMachine({
  id: "reconciler",
  context: { delayMs: 0, stopping: false, again: false },
  initial: "working",
  invoke: { id: "listen", src: "listen" },
  on: { stop: ".ending" },
  states: {
    working: {
      on: {
        stop: { actions: assign({ stopping: true }) },
        "due.changed": { actions: assign({ again: true }) },
      },
      invoke: {
        id: "round",
        src: "round",
        onDone: {
          target: "waiting",
          actions: assign({ delayMs: ({ event }) => event.output }),
        },
        onError: "recovering",
      },
    },
    waiting: {
      always: [
        { guard: ({ context }) => context.stopping, target: "ending" },
        { guard: ({ context }) => context.again, target: "working", actions: assign({ again: false }) },
      ],
      on: { "due.changed": "working" },
      after: { nextRound: "working" },
    },
    recovering: {
      always: { guard: ({ context }) => context.stopping, target: "ending" },
      after: { afterError: "working" },
    },
    ending: {
      on: { stop: {} },
      invoke: { id: "endTurn", src: "endTurn", onDone: "stopped", onError: "stopped" },
    },
    stopped: { type: "final" },
  },
});

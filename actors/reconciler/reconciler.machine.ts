/**
 * The reconciler: rounds of mending what was lost, on any replica and on several at once without harm.
 *
 *   working ⇄ waiting ── stop ▶ stopped
 *
 * A round advances the tick, reaps, and puts back lost hints; now and then it also sweeps and deletes what has expired.
 */
import { assign, fromPromise, setup } from "xstate";

export interface RoundInput {
  /** From 0. */
  readonly round: number;
}

export interface ReconcilerContext {
  readonly round: number;
  readonly delayMs: number;
}

export const reconcilerMachine = setup({
  types: {} as { context: ReconcilerContext; events: { type: "stop" }; input: Record<string, never> },
  actors: {
    /** Resolves to the milliseconds until the next round is due. */
    round: fromPromise<number, RoundInput>(() => {
      throw new Error("The reconciler's round actor was not provided.");
    }),
  },
  delays: { nextRound: ({ context }) => context.delayMs, afterError: 1_000 },
}).createMachine({
  id: "reconciler",
  context: { round: 0, delayMs: 0 },
  initial: "working",
  on: { stop: ".stopped" },
  states: {
    working: {
      invoke: {
        id: "round",
        src: "round",
        input: ({ context }) => ({ round: context.round }),
        onDone: {
          target: "waiting",
          actions: assign({ round: ({ context }) => context.round + 1, delayMs: ({ event }) => event.output }),
        },
        onError: "recovering",
      },
    },
    waiting: { after: { nextRound: "working" } },
    recovering: { after: { afterError: "working" } },
    stopped: { type: "final" },
  },
});

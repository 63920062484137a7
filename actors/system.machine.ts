/**
 * The system: the services of a role, started together and stopped in order.
 *
 *   serving ── drain ▶ (worker drains) ▶ closing (the reconciler ends its round) ▶ stopped
 *
 * The reconciler goes on until the worker has ended, so that a drain that lasts does not stop the ticks.
 */
import { sendTo, setup } from "xstate";
import { reconcilerMachine } from "./reconciler/reconciler.machine.ts";
import { workerMachine } from "./worker/worker.machine.ts";

export const systemMachine = setup({
  types: {} as { context: { slots: number }; events: { type: "drain" }; input: { slots: number } },
  actors: { worker: workerMachine, reconciler: reconcilerMachine },
}).createMachine({
  id: "system",
  context: ({ input }) => ({ slots: input.slots }),
  initial: "serving",
  states: {
    serving: {
      initial: "working",
      invoke: { id: "reconciler", src: "reconciler", input: () => ({}), onDone: "stopped" },
      states: {
        working: {
          on: { drain: { actions: sendTo("worker", { type: "drain" }) } },
          invoke: {
            id: "worker",
            src: "worker",
            input: ({ context }) => ({ slots: context.slots }),
            onDone: "closing",
          },
        },
        closing: { entry: sendTo("reconciler", { type: "stop" }) },
      },
    },
    stopped: { type: "final" },
  },
});

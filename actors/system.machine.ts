/**
 * The system: the services of a role, started together and stopped in order.
 *
 *   serving ── drain ▶ (worker drains, where there is one) ▶ delivering (the courier ends what it has begun)
 *             ▶ closing (the reconciler ends its round) ▶ stopped
 *
 * The reconciler goes on until the worker has ended, so that a drain that lasts does not stop the ticks; the courier, so
 * that what the worker ended is still told.
 */
import { sendTo, setup } from "xstate";
import { courierMachine } from "./courier/courier.machine.ts";
import { reconcilerMachine } from "./reconciler/reconciler.machine.ts";
import { workerMachine } from "./worker/worker.machine.ts";

/** Webhooks under way at once, to all receivers together. */
const DELIVERIES_AT_ONCE = 64;

export const systemMachine = setup({
  types: {} as { context: { slots: number }; events: { type: "drain" }; input: { slots: number } },
  guards: { hasSlots: ({ context }) => context.slots > 0 },
  actors: { worker: workerMachine, reconciler: reconcilerMachine, courier: courierMachine },
}).createMachine({
  id: "system",
  context: ({ input }) => ({ slots: input.slots }),
  initial: "serving",
  states: {
    serving: {
      initial: "choosing",
      invoke: [
        { id: "reconciler", src: "reconciler", input: () => ({}), onDone: "stopped" },
        { id: "courier", src: "courier", input: () => ({ concurrency: DELIVERIES_AT_ONCE }), onDone: ".closing" },
      ],
      states: {
        choosing: { always: [{ guard: "hasSlots", target: "working" }, { target: "answering" }] },
        /** An API replica: it runs no jobs. */
        answering: { on: { drain: "delivering" } },
        working: {
          on: { drain: { actions: sendTo("worker", { type: "drain" }) } },
          invoke: {
            id: "worker",
            src: "worker",
            input: ({ context }) => ({ slots: context.slots }),
            onDone: "delivering",
          },
        },
        delivering: { entry: sendTo("courier", { type: "stop" }) },
        closing: { entry: sendTo("reconciler", { type: "stop" }) },
      },
    },
    stopped: { type: "final" },
  },
});

/**
 * The ready queue in one process: the hints in order, and the waiting takers in the order they came.
 *
 * A hint goes to a taker only while nothing else of the program runs in between, so an abort finds it either still in the
 * queue or already given: none is lost between the two.
 */
import { RendiffError } from "../../errors.ts";
import type { PriorityClass, ReadyHint, ReadyQueue } from "../ports.ts";
import { HintStore } from "./hint-store.ts";

interface Taker {
  readonly classes: readonly PriorityClass[];
  give(hint: ReadyHint | null): void;
}

export function makeMemoryReadyQueue(): ReadyQueue {
  const hints = new HintStore();
  const takers = new Set<Taker>();
  const waiting = new Set<() => void>();
  let closed = false;
  const wakeAll = (): void => {
    for (const wake of [...waiting]) wake();
  };

  const serve = (): void => {
    for (const taker of takers) {
      if (hints.size === 0) return;
      const hint = hints.pop(taker.classes);
      if (hint !== null) taker.give(hint);
    }
  };

  return {
    async add(added) {
      if (closed) throw new RendiffError({ kind: "service.unavailable", publicMessage: "The service is stopping." });
      for (const hint of added) hints.put(hint);
      serve();
      if (added.length > 0) wakeAll();
    },
    async take(classes, signal) {
      if (signal.aborted || closed) return null;
      return hints.pop(classes) ?? waitForHint(takers, classes, signal);
    },
    added(signal) {
      if (signal.aborted || closed) return Promise.resolve();
      return new Promise((resolve) => {
        const wake = (): void => {
          waiting.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        signal.addEventListener("abort", wake);
        waiting.add(wake);
      });
    },
    async remove(jobId) {
      hints.remove(jobId);
    },
    async depths() {
      return hints.depths();
    },
    async close() {
      closed = true;
      for (const taker of [...takers]) taker.give(null);
      wakeAll();
      hints.clear();
    },
  };
}

function waitForHint(
  takers: Set<Taker>,
  classes: readonly PriorityClass[],
  signal: AbortSignal,
): Promise<ReadyHint | null> {
  return new Promise((resolve) => {
    const taker: Taker = {
      classes,
      give(hint) {
        takers.delete(taker);
        signal.removeEventListener("abort", abort);
        resolve(hint);
      },
    };
    const abort = (): void => taker.give(null);
    signal.addEventListener("abort", abort);
    takers.add(taker);
  });
}

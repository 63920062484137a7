/**
 * MEMORY_LIMIT shared out: each FFmpeg process takes what its plan says before it starts, in order of arrival, so that
 * jobs that run together cannot ask for more than the machine has.
 */
import { RendiffError } from "../../src/errors.ts";
import type { Reservation } from "./scope.ts";

interface Waiting {
  readonly bytes: number;
  start(): void;
}

export function makeMemoryBudget(limitBytes: number): (bytes: number, signal: AbortSignal) => Promise<Reservation> {
  let usedBytes = 0;
  const queue: Waiting[] = [];

  const startWaiting = (): void => {
    for (let next = queue[0]; next !== undefined && usedBytes + next.bytes <= limitBytes; next = queue[0]) {
      queue.shift();
      next.start();
    }
  };

  const take = (bytes: number): Reservation => {
    usedBytes += bytes;
    let released = false;
    return {
      release() {
        if (released) return;
        released = true;
        usedBytes -= bytes;
        startWaiting();
      },
    };
  };

  return (bytes, signal) => {
    if (bytes > limitBytes) {
      return Promise.reject(
        new RendiffError({
          kind: "resource.memory",
          publicMessage: "The job needs more memory than a worker may use.",
          hint: "Make the output smaller, or ask the operator for a larger MEMORY_LIMIT.",
        }),
      );
    }
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const waiting: Waiting = {
        bytes,
        start() {
          signal.removeEventListener("abort", leave);
          resolve(take(bytes));
        },
      };
      const leave = (): void => {
        queue.splice(queue.indexOf(waiting), 1);
        reject(signal.reason);
        // Whoever stood behind this one may fit now.
        startWaiting();
      };
      signal.addEventListener("abort", leave, { once: true });
      queue.push(waiting);
      startWaiting();
    });
  };
}

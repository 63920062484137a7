/**
 * A limit on the time of a running program, which the time that it stood in line for a processor does not count against: it
 * could do nothing then, and a machine that is busy with what is more urgent must not end it for that.
 *
 * The first half of the limit counts in any case, so that nothing is looked at while all goes well.
 */
import type { ProcessHandle } from "../process/port.ts";

export interface TimeLimit {
  /** From here on, anew; nothing once it was ended. */
  restart(): void;
  /** Idempotent. */
  end(): void;
}

/** Parts of the limit after which a program that waited is looked at again, at the least. */
const LOOKS = 8;

export function limitTime(
  handle: Pick<ProcessHandle, "watchWaiting">,
  limitMs: number,
  reached: () => void,
): TimeLimit {
  let timer: Timer | undefined;
  let ended = false;
  const watch = (): void => {
    const sinceMs = performance.now();
    const waitedMs = handle.watchWaiting();
    const look = (leftMs: number): void => {
      timer = setTimeout(
        () => {
          const nextMs = limitMs / 2 - (performance.now() - sinceMs - waitedMs());
          // Timers and clocks differ by less than a millisecond.
          if (nextMs < 1) reached();
          else look(nextMs);
        },
        Math.max(leftMs, limitMs / LOOKS),
      );
    };
    look(limitMs / 2);
  };
  const start = (): void => {
    timer = setTimeout(watch, limitMs / 2);
  };
  start();
  return {
    restart() {
      if (ended) return;
      clearTimeout(timer);
      start();
    },
    end() {
      ended = true;
      clearTimeout(timer);
    },
  };
}

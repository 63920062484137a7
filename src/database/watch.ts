import { DeadlinePassed } from "./deadline.ts";

export interface Watch {
  /** Rejects with DeadlinePassed. */
  readonly passed: Promise<never>;
  /** Begins a phase that may take so long; 0 is for ever. */
  start(deadlineMs: number): void;
  stop(): void;
}

/** A deadline for one phase after another. */
export function makeWatch(): Watch {
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {});
  let timer: ReturnType<typeof setTimeout> | null = null;
  const stop = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  const start = (deadlineMs: number): void => {
    stop();
    if (deadlineMs > 0) timer = setTimeout(() => late.reject(new DeadlinePassed(deadlineMs)), deadlineMs);
  };
  return { passed: late.promise, start, stop };
}

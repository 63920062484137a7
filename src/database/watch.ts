import { DeadlinePassed } from "./deadline.ts";

export interface Watch {
  /** Rejects with DeadlinePassed. */
  readonly passed: Promise<never>;
  start(): void;
  stop(): void;
}

/** A deadline for one phase after another: it runs from the beginning and can be stopped and started again. */
export function makeWatch(deadlineMs: number): Watch {
  const late = Promise.withResolvers<never>();
  late.promise.catch(() => {});
  let timer: ReturnType<typeof setTimeout> | null = null;
  const stop = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  const start = (): void => {
    stop();
    timer = setTimeout(() => late.reject(new DeadlinePassed(deadlineMs)), deadlineMs);
  };
  start();
  return { passed: late.promise, start, stop };
}

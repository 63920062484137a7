import type { Locks } from "../ports.ts";
import { type MonotonicClock, monotonicNowMs } from "./clock.ts";

interface Held {
  readonly value: string;
  readonly untilMs: number;
}

/** Locks whose holder died are forgotten at the next `acquire` after this many more. */
const SWEEP_EVERY = 1_000;

export function makeMemoryLocks(nowMs: MonotonicClock = monotonicNowMs): Locks {
  const held = new Map<string, Held>();
  let acquired = 0;

  /** Null when it is free or its time is over. */
  const current = (name: string): Held | null => {
    const lock = held.get(name);
    if (lock === undefined) return null;
    if (lock.untilMs > nowMs()) return lock;
    held.delete(name);
    return null;
  };

  const sweep = (): void => {
    acquired++;
    if (acquired % SWEEP_EVERY !== 0) return;
    for (const name of [...held.keys()]) current(name);
  };

  return {
    async acquire(name, value, ttlMs) {
      sweep();
      const lock = current(name);
      if (lock !== null && lock.value !== value) return false;
      held.set(name, { value, untilMs: nowMs() + ttlMs });
      return true;
    },
    async renew(name, value, ttlMs) {
      if (current(name)?.value !== value) return false;
      held.set(name, { value, untilMs: nowMs() + ttlMs });
      return true;
    },
    async release(name, value) {
      return current(name)?.value === value && held.delete(name);
    },
    async holder(name) {
      return current(name)?.value ?? null;
    },
    async close() {
      held.clear();
    },
  };
}

/**
 * What this replica has let through by itself, name by name, beside what Redis counts for all. When Redis goes away, or
 * comes back without its counts, a window that is under way is not begun anew here.
 */
import { type MonotonicClock, monotonicNowMs } from "../memory/clock.ts";
import type { LimitDecision } from "../ports.ts";

/** Names that are counted at a time; beyond, the oldest window is forgotten, which favours its name once. */
const NAMES_MAX = 100_000;

export interface OwnCounts {
  /** One more; a window that begins with it ends after `windowMs`. */
  count(name: string, limit: number, windowMs: number): LimitDecision;
}

export interface OwnCountsOptions {
  readonly namesMax?: number;
  readonly now?: MonotonicClock;
}

interface Window {
  readonly untilMs: number;
  count: number;
}

export function makeOwnCounts({ namesMax = NAMES_MAX, now = monotonicNowMs }: OwnCountsOptions = {}): OwnCounts {
  // In the order in which their windows began.
  const windows = new Map<string, Window>();

  const begin = (name: string, windowMs: number): Window => {
    const made = { untilMs: now() + windowMs, count: 0 };
    windows.delete(name);
    windows.set(name, made);
    const [oldest] = windows.keys();
    if (windows.size > namesMax && oldest !== undefined) windows.delete(oldest);
    return made;
  };

  return {
    count(name, limit, windowMs) {
      const known = windows.get(name);
      const window = known !== undefined && known.untilMs > now() ? known : begin(name, windowMs);
      window.count += 1;
      return {
        ...{ allowed: window.count <= limit, limit, remaining: Math.max(0, limit - window.count) },
        resetMs: Math.max(1, window.untilMs - now()),
      };
    },
  };
}

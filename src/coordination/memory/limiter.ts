/**
 * Fixed windows by rate-limiter-flexible. One counter for each window length, without a limit of its own: the limit comes
 * with each request, so that a key whose limit changes keeps its count.
 */
// The whole has a client for each of a dozen stores.
import RateLimiterMemory from "rate-limiter-flexible/lib/RateLimiterMemory.js";
import type { Limiter } from "../ports.ts";

/** Timers hold at most 2^31 − 1 ms, and each window has one. */
const WINDOW_MAX_MS = 2 ** 31 - 1;

/** Names that are counted at a time; beyond, the oldest window is forgotten, which favours its name once. */
const NAMES_MAX = 100_000;

export interface MemoryLimiterOptions {
  readonly namesMax?: number;
}

interface Counter {
  readonly limiter: RateLimiterMemory;
  /** In the order in which their windows began. */
  readonly names: Set<string>;
}

export function makeMemoryLimiter({ namesMax = NAMES_MAX }: MemoryLimiterOptions = {}): Limiter {
  const counters = new Map<number, Counter>();

  const counterFor = (windowMs: number): Counter => {
    const known = counters.get(windowMs);
    if (known !== undefined) return known;
    if (!(windowMs > 0 && windowMs <= WINDOW_MAX_MS))
      throw new RangeError(`A window of ${windowMs} ms cannot be counted.`);
    const limiter = new RateLimiterMemory({ points: Number.MAX_SAFE_INTEGER, duration: windowMs / 1000 });
    const made = { limiter, names: new Set<string>() };
    counters.set(windowMs, made);
    return made;
  };

  const remember = async ({ limiter, names }: Counter, name: string): Promise<void> => {
    names.delete(name);
    names.add(name);
    if (names.size <= namesMax) return;
    const [oldest] = names;
    if (oldest === undefined) return;
    names.delete(oldest);
    await limiter.delete(oldest);
  };

  return {
    async consume(name, limit, windowMs) {
      const counter = counterFor(windowMs);
      const count = await counter.limiter.consume(name);
      if (count.isFirstInDuration) await remember(counter, name);
      return {
        allowed: count.consumedPoints <= limit,
        limit,
        remaining: Math.max(0, limit - count.consumedPoints),
        resetMs: count.msBeforeNext,
      };
    },
    async close() {
      for (const { limiter, names } of counters.values()) {
        for (const name of names) await limiter.delete(name);
      }
      counters.clear();
    },
  };
}

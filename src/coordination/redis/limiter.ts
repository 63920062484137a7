/**
 * Fixed windows by rate-limiter-flexible, counted for all replicas together. While Redis does not answer each replica
 * counts for itself, so that neither everybody nor nobody is let through; what it let through before counts too.
 */
// The whole has a client for each of a dozen stores.
import RateLimiterRedis from "rate-limiter-flexible/lib/RateLimiterRedis.js";
import type { LimitDecision, Limiter } from "../ports.ts";
import type { RedisClient } from "./connect.ts";
import type { Link } from "./link.ts";
import { makeOwnCounts } from "./own-counts.ts";

/** How old Redis's answer about the rest of a window may be. */
const LATENCY_MS_MAX = 500;

export function makeRedisLimiter(link: Link, prefix: string): Limiter {
  const own = makeOwnCounts();
  const counters = new Map<number, RateLimiterRedis>();
  const counterFor = (client: RedisClient, windowMs: number): RateLimiterRedis => {
    const known = counters.get(windowMs);
    if (known !== undefined) return known;
    const made = new RateLimiterRedis({
      ...{ storeClient: client, keyPrefix: "", points: Number.MAX_SAFE_INTEGER, duration: windowMs / 1000 },
    });
    counters.set(windowMs, made);
    return made;
  };
  const consume = async (name: string, limit: number, windowMs: number): Promise<LimitDecision> => {
    const count = await link.run((client) => counterFor(client, windowMs).consume(prefix + name));
    // Never later than Redis's window, so that this refuses only what Redis has forgotten.
    const mine = own.count(name, limit, count.msBeforeNext - LATENCY_MS_MAX);
    return {
      allowed: count.consumedPoints <= limit && mine.allowed,
      limit,
      remaining: Math.min(mine.remaining, Math.max(0, limit - count.consumedPoints)),
      resetMs: count.msBeforeNext,
    };
  };
  return {
    async consume(name, limit, windowMs) {
      // Redis counts in whole seconds; anything else would be another window than was asked for.
      if (!(windowMs >= 1_000 && windowMs % 1_000 === 0)) {
        throw new RangeError(`A window of ${windowMs} ms cannot be counted.`);
      }
      try {
        return await consume(name, limit, windowMs);
      } catch {
        return own.count(name, limit, windowMs);
      }
    },
    close: async () => {},
  };
}

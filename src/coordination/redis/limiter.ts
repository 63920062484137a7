/**
 * Fixed windows by rate-limiter-flexible, counted for all replicas together. While Redis does not answer each replica
 * counts for itself, so that neither everybody nor nobody is let through.
 */
import { RateLimiterRedis } from "rate-limiter-flexible";
import { makeMemoryLimiter } from "../memory/limiter.ts";
import type { LimitDecision, Limiter } from "../ports.ts";
import type { RedisClient } from "./connect.ts";
import type { Link } from "./link.ts";

export function makeRedisLimiter(link: Link, prefix: string): Limiter {
  const local = makeMemoryLimiter();
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
    return {
      allowed: count.consumedPoints <= limit,
      limit,
      remaining: Math.max(0, limit - count.consumedPoints),
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
        return local.consume(name, limit, windowMs);
      }
    },
    close: () => local.close(),
  };
}

/** Coordination of a profile: in this process, or through Redis. */
import type { Config } from "../config/config.ts";
import { makeMemoryCoordination } from "../coordination/memory/memory.ts";
import type { Coordination } from "../coordination/ports.ts";
import type { Logger } from "../telemetry/logger.ts";

/** While Redis is down its error comes with each try. */
const LOG_ERROR_EVERY_MS = 10_000;

export async function openCoordination({ redis }: Config, logger: Logger): Promise<Coordination> {
  const onListenerError = (error: unknown): void => logger.error({ err: error }, "a listener on the bus failed");
  if (redis.url === null) return makeMemoryCoordination({ onListenerError });
  const { openRedisCoordination } = await import("../coordination/redis/redis.ts");
  let loggedAtMs = Number.NEGATIVE_INFINITY;
  const coordination = await openRedisCoordination({
    ...{ url: redis.url, prefix: redis.prefix, onListenerError },
    onConnectionError(error) {
      const nowMs = performance.now();
      if (nowMs - loggedAtMs < LOG_ERROR_EVERY_MS) return;
      loggedAtMs = nowMs;
      logger.warn({ err: error }, "the connection to Redis failed; it is tried again, and all goes on without");
    },
  });
  if (!coordination.connected) logger.warn({}, "Redis did not answer at the start; everything goes on without it");
  return coordination;
}

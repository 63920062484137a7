/** Coordination for a cluster: the ports over one Redis, with two connections, one for commands and one that listens. */
import { setTimeout as delay } from "node:timers/promises";
import type { Coordination } from "../ports.ts";
import { makeRedisBus, type RedisBusOptions } from "./bus.ts";
import { makeRedisCache } from "./cache.ts";
import { connect, type RedisClient } from "./connect.ts";
import { makeRedisLimiter } from "./limiter.ts";
import { makeLink } from "./link.ts";
import { makeRedisLocks } from "./locks.ts";
import { makeRedisReadyQueue } from "./ready-queue.ts";
import { parseRedisUrl } from "./url.ts";

export interface RedisCoordinationOptions extends Pick<RedisBusOptions, "onListenerError"> {
  readonly url: string;
  /** What every key and channel begins with; on a Redis Cluster it has to hold a hash tag. */
  readonly prefix: string;
  readonly commandTimeoutMs?: number;
  /** How long the start waits for the first connection; after it the connection comes when it can. */
  readonly readyTimeoutMs?: number;
  /** The connection failed, each time it does. */
  onConnectionError?(error: unknown): void;
}

const COMMAND_TIMEOUT_MS = 500;
const READY_TIMEOUT_MS = 3_000;

export interface RedisCoordination extends Coordination {
  readonly kind: "redis";
  /** The first connection was made in time; without it everything falls back until there is one. */
  readonly connected: boolean;
}

async function untilReady(clients: readonly RedisClient[], timeoutMs: number): Promise<boolean> {
  const ready = clients.map((client) =>
    client.status === "ready" ? null : new Promise<void>((resolve) => client.once("ready", () => resolve())),
  );
  const late = new AbortController();
  const waited = delay(timeoutMs, false, { signal: late.signal }).catch(() => false);
  const connected = await Promise.race([Promise.all(ready).then(() => true), waited]);
  late.abort();
  return connected;
}

/** Throws `service.unavailable` when the URL cannot be read; a Redis that is away is no error. */
export async function openRedisCoordination(options: RedisCoordinationOptions): Promise<RedisCoordination> {
  const { url, prefix, onListenerError, onConnectionError } = options;
  const target = parseRedisUrl(url);
  const commandTimeoutMs = options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS;
  const open = (name: string): RedisClient =>
    connect({ target, commandTimeoutMs, name, onError: (error) => onConnectionError?.(error) });
  const [commands, subscriber] = [open("rendiff"), open("rendiff-listens")];
  const link = makeLink(commands);
  const bus = makeRedisBus({ link, subscriber, prefix, ...(onListenerError === undefined ? {} : { onListenerError }) });
  const connected = await untilReady([commands, subscriber], options.readyTimeoutMs ?? READY_TIMEOUT_MS);
  const readyQueue = makeRedisReadyQueue(link, bus, prefix);
  const limiter = makeRedisLimiter(link, prefix);
  return {
    kind: "redis",
    connected,
    ...{ readyQueue, limiter, bus, locks: makeRedisLocks(link, prefix), cache: makeRedisCache(link, prefix) },
    async ping() {
      await link.run((client) => client.ping());
    },
    async close() {
      await readyQueue.close();
      await limiter.close();
      await bus.close();
      await link.close();
    },
  };
}

/** Coordination for one process: the embedded profile, and Postgres without Redis. */
import type { Coordination } from "../ports.ts";
import { type MemoryBusOptions, makeMemoryBus } from "./bus.ts";
import { makeMemoryCache } from "./cache.ts";
import type { MonotonicClock } from "./clock.ts";
import { makeMemoryLimiter } from "./limiter.ts";
import { makeMemoryLocks } from "./locks.ts";
import { makeMemoryReadyQueue } from "./ready-queue.ts";

export interface MemoryCoordinationOptions extends MemoryBusOptions {
  readonly nowMs?: MonotonicClock;
}

export function makeMemoryCoordination(options: MemoryCoordinationOptions = {}): Coordination {
  const { nowMs } = options;
  const parts = {
    readyQueue: makeMemoryReadyQueue(),
    locks: makeMemoryLocks(nowMs),
    limiter: makeMemoryLimiter(),
    bus: makeMemoryBus(options),
    cache: makeMemoryCache(nowMs === undefined ? {} : { nowMs }),
  };
  return {
    kind: "memory",
    ...parts,
    async ping() {},
    async close() {
      await Promise.all(Object.values(parts).map((part) => part.close()));
    },
  };
}

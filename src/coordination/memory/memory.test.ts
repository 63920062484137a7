import { describe, expect, test } from "bun:test";
import { busContract } from "../../../test/contract/bus.contract.ts";
import { cacheContract } from "../../../test/contract/cache.contract.ts";
import { limiterContract } from "../../../test/contract/limiter.contract.ts";
import { locksContract } from "../../../test/contract/locks.contract.ts";
import { readyQueueContract } from "../../../test/contract/ready-queue.contract.ts";
import { until } from "../../../test/support/until.ts";
import { makeMemoryBus } from "./bus.ts";
import { makeMemoryCache } from "./cache.ts";
import { makeMemoryLimiter } from "./limiter.ts";
import { makeMemoryLocks } from "./locks.ts";
import { makeMemoryCoordination } from "./memory.ts";
import { makeMemoryReadyQueue } from "./ready-queue.ts";

const alone = async <Port>(port: Port) => ({ port, peer: port });

readyQueueContract("memory", () => alone(makeMemoryReadyQueue()));
locksContract("memory", () => alone(makeMemoryLocks()));
limiterContract("memory", () => alone(makeMemoryLimiter()));
busContract("memory", () => alone(makeMemoryBus()));
cacheContract("memory", () => alone(makeMemoryCache()));

describe("what only memory promises", () => {
  test("locks and cached values live by the clock they are given", async () => {
    let now = 0;
    const { locks, cache, close } = makeMemoryCoordination({ nowMs: () => now });
    await locks.acquire("a", "1", 100);
    await cache.set("a", "1", 100);
    now = 99;
    expect(await locks.holder("a")).toBe("1");
    expect(await cache.get("a")).toBe("1");
    now = 100;
    expect(await locks.holder("a")).toBeNull();
    expect(await cache.get("a")).toBeNull();
    await close();
  });

  test("a lock whose time is over cannot be renewed or released, though nobody has looked at it since", async () => {
    let now = 0;
    const locks = makeMemoryLocks(() => now);
    for (const name of ["a", "b"]) await locks.acquire(name, "1", 100);
    now = 100;
    expect(await locks.renew("a", "1", 100)).toBe(false);
    expect(await locks.release("b", "1")).toBe(false);
  });

  test("a full cache drops what was unused for longest", async () => {
    const cache = makeMemoryCache({ entriesMax: 3 });
    for (const name of ["a", "b", "c"]) await cache.set(name, name, 60_000);
    await cache.get("a");
    await cache.set("d", "d", 60_000);
    const kept = await Promise.all(["a", "b", "c", "d"].map((name) => cache.get(name)));
    expect(kept).toEqual(["a", null, "c", "d"]);
  });

  test("a cache of long values drops as many of the oldest as there have to go", async () => {
    const cache = makeMemoryCache({ lengthMax: 10 });
    for (const name of ["a", "b", "c"]) await cache.set(name, "123", 60_000);
    await cache.set("a", "1", 60_000);
    await cache.set("d", "1234567", 60_000);
    const kept = await Promise.all(["a", "b", "c", "d"].map((name) => cache.get(name)));
    expect(kept).toEqual(["1", null, null, "1234567"]);
    await cache.delete("d");
    await cache.set("e", "12345678", 60_000);
    expect(await Promise.all(["a", "e"].map((name) => cache.get(name)))).toEqual(["1", "12345678"]);
  });

  test("a limiter that counts too many names forgets the oldest window only", async () => {
    const limiter = makeMemoryLimiter({ namesMax: 2 });
    for (const name of ["a", "b", "c"]) await limiter.consume(name, 1, 60_000);
    expect((await limiter.consume("c", 1, 60_000)).allowed).toBe(false);
    expect((await limiter.consume("b", 1, 60_000)).allowed).toBe(false);
    expect((await limiter.consume("a", 1, 60_000)).allowed).toBe(true);
    await limiter.close();
  });

  test("a listener's error is reported with its channel", async () => {
    const errors: unknown[] = [];
    const bus = makeMemoryBus({ onListenerError: (error, channel) => errors.push([channel, String(error)]) });
    await bus.subscribe("a", () => {
      throw new Error("oops");
    });
    await bus.publish("a", {});
    await until(() => errors.length > 0);
    expect(errors).toEqual([["a", "Error: oops"]]);
  });

  test("an aborted take leaves no listener on its signal's owner and no taker behind", async () => {
    const queue = makeMemoryReadyQueue();
    const controller = new AbortController();
    const takes = Array.from({ length: 100 }, () => queue.take(["high"], controller.signal));
    controller.abort();
    expect(await Promise.all(takes)).toEqual(Array.from({ length: 100 }, () => null));
    await queue.add([{ jobId: "a", priority: "high", rank: 0 }]);
    expect((await queue.depths()).high).toBe(1);
    await queue.close();
  });
});

import { describe, expect, test } from "bun:test";
import { busContract } from "../../../test/contract/bus.contract.ts";
import { cacheContract } from "../../../test/contract/cache.contract.ts";
import type { MakeSubject } from "../../../test/contract/coordination-subject.ts";
import { limiterContract } from "../../../test/contract/limiter.contract.ts";
import { locksContract } from "../../../test/contract/locks.contract.ts";
import { readyQueueContract } from "../../../test/contract/ready-queue.contract.ts";
import { testEnv } from "../../../test/support/env.ts";
import type { Coordination } from "../ports.ts";
import { openRedisCoordination } from "./redis.ts";
import { parseRedisUrl } from "./url.ts";

/** Two replicas with a prefix of their own; closing the part closes its connections. */
function subject<Port extends { close(): Promise<void> }>(
  pick: (coordination: Coordination) => Port,
): MakeSubject<Port> {
  return async () => {
    const prefix = `{test:${Bun.randomUUIDv7()}}:`;
    const open = async (): Promise<Port> => {
      const coordination = await openRedisCoordination({ url: testEnv().redisUrl, prefix });
      return { ...pick(coordination), close: () => coordination.close() };
    };
    return { port: await open(), peer: await open() };
  };
}

readyQueueContract(
  "redis",
  subject((coordination) => coordination.readyQueue),
);
locksContract(
  "redis",
  subject((coordination) => coordination.locks),
);
limiterContract(
  "redis",
  subject((coordination) => coordination.limiter),
);
busContract(
  "redis",
  subject((coordination) => coordination.bus),
);
cacheContract(
  "redis",
  subject((coordination) => coordination.cache),
);

describe("REDIS_URL", () => {
  test("is read in all of its forms", () => {
    expect(parseRedisUrl("redis://127.0.0.1")).toEqual({
      ...{ mode: "single", addresses: [{ host: "127.0.0.1", port: 6379 }], master: null, username: null },
      ...{ password: null, sentinelPassword: null, database: 0, tls: false, caFile: null },
    });
    expect(parseRedisUrl("rediss://me:p%40ss@redis.example:7000/2?ca=/etc/ca.pem")).toMatchObject({
      ...{ mode: "single", addresses: [{ host: "redis.example", port: 7000 }], username: "me", password: "p@ss" },
      ...{ database: 2, tls: true, caFile: "/etc/ca.pem" },
    });
    expect(parseRedisUrl("redis+sentinel://:secret@a,b:5000/main/1?sentinel_password=x")).toMatchObject({
      addresses: [
        { host: "a", port: 26379 },
        { host: "b", port: 5000 },
      ],
      ...{ mode: "sentinel", master: "main", username: null, password: "secret", sentinelPassword: "x", database: 1 },
    });
    expect(parseRedisUrl("rediss+cluster://[::1]:7000,b")).toMatchObject({
      ...{ mode: "cluster", tls: true },
      addresses: [
        { host: "::1", port: 7000 },
        { host: "b", port: 6379 },
      ],
    });
  });

  test.each([
    "redis://:secret@a,b",
    "redis://:secret@a:99999",
    "redis://:secret@a/x",
    "redis://:secret@a/0/1",
    "redis+sentinel://:secret@a",
    "redis+cluster://:secret@a/1",
    "redis://:secret@a?timeout=1",
    "redis://",
  ])("refuses %s and does not repeat its password", (url) => {
    const failure = (): unknown => {
      try {
        return parseRedisUrl(url);
      } catch (error) {
        return error;
      }
    };
    expect(failure()).toMatchObject({ kind: "service.unavailable" });
    expect(String(failure())).not.toContain("secret");
  });
});

/** The coordination ports on a real Redis of each form, and what they do while it is frozen, gone, or moved. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Coordination } from "../../src/coordination/ports.ts";
import { close, connect } from "../../src/coordination/redis/connect.ts";
import { openRedisCoordination, type RedisCoordination } from "../../src/coordination/redis/redis.ts";
import { parseRedisUrl } from "../../src/coordination/redis/url.ts";
import { busContract } from "../contract/bus.contract.ts";
import { cacheContract } from "../contract/cache.contract.ts";
import type { MakeSubject } from "../contract/coordination-subject.ts";
import { limiterContract } from "../contract/limiter.contract.ts";
import { locksContract } from "../contract/locks.contract.ts";
import { readyQueueContract } from "../contract/ready-queue.contract.ts";
import { afterFile } from "../support/cleanup.ts";
import { type RedisForm, withCluster, withPassword, withSentinels, withTls } from "../support/redis-forms.ts";
import { startRedis, type TestServer } from "../support/servers.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const START_MS = 30_000;

/** Started by the first test that asks, stopped after the file. */
function once(start: (folder: string) => Promise<RedisForm>): () => Promise<RedisForm> {
  let started: Promise<RedisForm> | null = null;
  return () => {
    started ??= makeTempDir("redis").then(async (folder) => {
      const form = await start(join(folder, "redis"));
      afterFile(async () => form[Symbol.asyncDispose]());
      return form;
    });
    return started;
  };
}

const open = (url: string, prefix = `{${Bun.randomUUIDv7()}}:`): Promise<RedisCoordination> =>
  openRedisCoordination({ url, prefix, readyTimeoutMs: 10_000 });

function subject<Port extends object>(
  form: () => Promise<RedisForm>,
  pick: (coordination: Coordination) => Port,
): MakeSubject<Port & { close(): Promise<void> }> {
  return async () => {
    const { url } = await form();
    const prefix = `{${Bun.randomUUIDv7()}}:`;
    const [port, peer] = await Promise.all([open(url, prefix), open(url, prefix)]);
    expect([port.connected, peer.connected]).toEqual([true, true]);
    return { port: { ...pick(port), close: () => port.close() }, peer: { ...pick(peer), close: () => peer.close() } };
  };
}

const sentinels = once(withSentinels);
const FORMS = { password: once(withPassword), TLS: once(withTls), sentinels, cluster: once(withCluster) } as const;

for (const [name, form] of Object.entries(FORMS)) {
  describe(`Redis with ${name}`, () => {
    test("starts", async () => void (await form()), START_MS);
  });
  readyQueueContract(
    `redis, ${name}`,
    subject(form, ({ readyQueue }) => readyQueue),
  );
  locksContract(
    `redis, ${name}`,
    subject(form, ({ locks }) => locks),
  );
  limiterContract(
    `redis, ${name}`,
    subject(form, ({ limiter }) => limiter),
  );
  busContract(
    `redis, ${name}`,
    subject(form, ({ bus }) => bus),
  );
  cacheContract(
    `redis, ${name}`,
    subject(form, ({ cache }) => cache),
  );
}

test(
  "when the master dies its replica takes over, and the ports go on within seconds",
  async () => {
    const form = await withSentinels(join(await makeTempDir("redis"), "redis"));
    afterFile(async () => form[Symbol.asyncDispose]());
    const coordination = await open(form.url);
    const heard: unknown[] = [];
    await coordination.bus.subscribe("a", (message) => heard.push(message));
    await form.servers[0]?.crash();
    await until(() => coordination.cache.set("a", "1", 60_000).then(() => true), { timeoutMs: 25_000 });
    expect(await coordination.cache.get("a")).toBe("1");
    await until(async () => {
      await coordination.bus.publish("a", {});
      return heard.length > 0;
    });
    await coordination.close();
  },
  START_MS + 30_000,
);

test(
  "a connection that is dropped while it asks for the master comes back, and one that was closed does not",
  async () => {
    const target = parseRedisUrl((await sentinels()).url);
    const make = () => connect({ target, commandTimeoutMs: 500, name: "test", onError: () => {} });
    const [dropped, hungUp] = [make(), make()];
    const ended = new Promise<void>((resolve) => dropped.once("end", resolve));
    dropped.disconnect(true);
    close(hungUp);
    await ended;
    await until(() => dropped.status === "ready", { timeoutMs: 10_000 });
    expect(hungUp.status).toBe("end");
    close(dropped);
  },
  START_MS,
);

describe("a Redis that does not answer", () => {
  async function subjectOf(): Promise<{ server: TestServer; coordination: RedisCoordination }> {
    const server = await startRedis(await makeTempDir("redis"));
    afterFile(() => server.stop());
    const coordination = await open(server.url);
    afterFile(() => coordination.close());
    return { server, coordination };
  }
  const refusal = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => "answered",
      (error: unknown) => (error as { kind?: unknown }).kind,
    );

  test("frozen: costs one caller its deadline and the others nothing, counts limits here, and is back at once", async () => {
    const { server, coordination } = await subjectOf();
    await coordination.limiter.consume("a", 3, 60_000);
    process.kill(server.pid, "SIGSTOP");
    const startedAtMs = performance.now();
    expect(await refusal(coordination.cache.get("a"))).toBe("service.unavailable");
    expect(performance.now() - startedAtMs).toBeLessThan(1_500);
    const decisions = [];
    for (let request = 0; request < 50; request++) decisions.push(await coordination.limiter.consume("a", 3, 60_000));
    // One was let through before, in the same window.
    expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(2);
    // Fifty times the deadline of a command would be 25 s.
    expect(performance.now() - startedAtMs).toBeLessThan(5_000);
    process.kill(server.pid, "SIGCONT");
    await until(() => coordination.ping().then(() => true), { timeoutMs: 5_000, what: "Redis to be used again" });
    // The count from before is there again, or more: a late command still ran.
    expect((await coordination.limiter.consume("a", 3, 60_000)).remaining).toBeLessThanOrEqual(1);
  }, 20_000);

  test("killed and started again: refused at once meanwhile, then everything works, subscriptions too", async () => {
    const { server, coordination } = await subjectOf();
    const heard: unknown[] = [];
    await coordination.bus.subscribe("a", (message) => heard.push(message));
    await server.crash();
    await until(async () => (await refusal(coordination.ping())) === "service.unavailable");
    const startedAtMs = performance.now();
    expect(await refusal(coordination.readyQueue.add([{ jobId: "a", priority: "low", rank: 1 }]))).toBe(
      "service.unavailable",
    );
    expect(performance.now() - startedAtMs).toBeLessThan(500);
    // Subscribing is only noted meanwhile.
    await coordination.bus.subscribe("b", (message) => heard.push(message));
    await server.restart();
    await until(() => coordination.ping().then(() => true), { timeoutMs: 5_000 });
    for (const channel of ["a", "b"]) {
      const before = heard.length;
      await until(async () => {
        await coordination.bus.publish(channel, { channel });
        return heard.length > before;
      });
    }
    const taking = coordination.readyQueue.take(["low"], AbortSignal.timeout(10_000));
    await coordination.readyQueue.add([{ jobId: "a", priority: "low", rank: 1 }]);
    expect((await taking)?.jobId).toBe("a");
  }, 20_000);

  test("away from the beginning: the start does not fail", async () => {
    const server = await startRedis(await makeTempDir("redis"));
    afterFile(() => server.stop());
    await server.stop();
    const coordination = await openRedisCoordination({ url: server.url, prefix: "{a}:", readyTimeoutMs: 100 });
    afterFile(() => coordination.close());
    expect(coordination.connected).toBe(false);
    expect(await refusal(coordination.ping())).toBe("service.unavailable");
    await server.restart();
    await until(() => coordination.ping().then(() => true), { timeoutMs: 5_000 });
  }, 20_000);
});

import { describe, expect, test } from "bun:test";
import type { ReplicaView } from "../../plugins/context.ts";
import { silentLogger } from "../../test/support/silent-logger.ts";
import { makeMemoryCoordination } from "../coordination/memory/memory.ts";
import { type Bus, channels } from "../coordination/ports.ts";
import { openReplicas } from "./replicas.ts";

const view = (role: string, workerId: string | null = null): ReplicaView => ({
  ...{ id: Bun.randomUUIDv7(), role, version: "1", workerId },
  actors: [{ id: "system", state: "serving" }],
});

const open = (bus: Bus, self: ReplicaView) =>
  openReplicas({ coordination: { kind: "redis", bus }, logger: silentLogger(), describe: () => self });

const ids = (views: readonly ReplicaView[]): string[] => views.map(({ id }) => id).sort();

describe("replicas", () => {
  test("each says what lives in it; what makes no sense is left out", async () => {
    const { bus } = makeMemoryCoordination();
    const [api, other, worker] = [view("api"), view("api"), view("worker", Bun.randomUUIDv7())];
    const [asking] = await Promise.all([open(bus, api), open(bus, other), open(bus, worker)]);
    await bus.subscribe(channels.actors, ({ id, reply_to: to }) => {
      for (const replica of [undefined, "me", { id: 1 }, { ...view("api"), actors: [{}] }]) {
        void bus.publish(String(to), { id, replica });
      }
    });
    const startedMs = performance.now();
    const views = await asking.ask([worker.workerId ?? ""]);
    expect(ids(views)).toEqual(ids([api, other, worker]));
    expect(views.find(({ id }) => id === worker.id)).toEqual(worker);
    expect(performance.now() - startedMs).toBeLessThan(900);
    await asking.close();
  });

  test("a worker that is silent is waited for a second and no longer", async () => {
    const { bus } = makeMemoryCoordination();
    const api = view("api");
    const asking = await open(bus, api);
    const startedMs = performance.now();
    expect(await asking.ask([Bun.randomUUIDv7()])).toEqual([api]);
    expect(performance.now() - startedMs).toBeGreaterThan(900);
    await asking.close();
  });

  test("without a bus, and in one process, there is oneself", async () => {
    const coordination = makeMemoryCoordination();
    const self = view("combined", Bun.randomUUIDv7());
    const publish = () => Promise.reject(new Error("Redis is away."));
    const cut = await open({ ...coordination.bus, publish }, self);
    expect(await cut.ask([Bun.randomUUIDv7()])).toEqual([self]);
    const alone = await openReplicas({ coordination, logger: silentLogger(), describe: () => self });
    expect(await alone.ask([])).toEqual([self]);
  });
});

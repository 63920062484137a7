import { expect, test } from "bun:test";
import type { KeyId } from "../src/jobs/types.ts";
import { until } from "../test/support/until.ts";
import { type Connection, makeConnections } from "./connections.ts";

const [ONE, TWO] = ["one" as KeyId, "two" as KeyId];

function connect(connections: ReturnType<typeof makeConnections>, keyId: KeyId, expiresAt: Date | null = null) {
  const closed: string[] = [];
  const connection: Connection = {
    ...{ keyId, expiresAt },
    close(why) {
      closed.push(why);
      leave();
    },
  };
  const leave = connections.add(connection);
  return closed;
}

test("one ends with what its client came with, and others go on", () => {
  let nowMs = 1_000;
  const connections = makeConnections({ now: () => nowMs });
  const [brief, long] = [connect(connections, ONE, new Date(2_000)), connect(connections, ONE)];
  connections.tick(0);
  expect([brief, long]).toEqual([[], []]);
  nowMs = 2_000;
  connections.tick(0);
  expect([brief, long, connections.sizeOf(ONE)]).toEqual([["expired"], [], 1]);
  connections.closeAll();
});

test("a key of whose end no message came is found by asking, all keys at once and not at every tick", async () => {
  const asked: (readonly KeyId[])[] = [];
  const answered = Promise.withResolvers<ReadonlySet<KeyId>>();
  const connections = makeConnections({
    goodKeys(keyIds) {
      asked.push(keyIds);
      return answered.promise;
    },
  });
  const [gone, good] = [connect(connections, ONE), connect(connections, TWO)];
  const begunAtMs = performance.now();
  for (const seconds of [1, 2, 6, 7, 8]) connections.tick(begunAtMs + seconds * 1_000);
  expect(asked).toEqual([[ONE, TWO]]);
  answered.resolve(new Set([TWO]));
  await until(() => gone.length > 0);
  expect([gone, good, connections.size]).toEqual([["revoked"], [], 1]);
  connections.closeAll();
});

test("a database that is away ends nobody's", async () => {
  const away = Promise.reject(new Error("away"));
  const connections = makeConnections({ goodKeys: () => away });
  const closed = connect(connections, ONE);
  connections.tick(performance.now() + 60_000);
  await away.catch(() => {});
  expect(closed).toEqual([]);
  connections.closeAll();
});

import { expect, test } from "bun:test";
import type { KeyId } from "../../src/jobs/types.ts";
import { makeConnections } from "../connections.ts";
import { requireRoom } from "./events.ts";

test("one key cannot take all the connections, and all keys together no more than there are", () => {
  const connections = makeConnections();
  const refusal = (name: string): unknown => {
    try {
      requireRoom({ connections }, { keyId: name as KeyId });
      return null;
    } catch (error) {
      return error;
    }
  };
  const fill = (name: string): number => {
    let count = 0;
    for (; refusal(name) === null; count += 1) {
      connections.add({ keyId: name as KeyId, expiresAt: null, close: () => {} });
    }
    return count;
  };
  expect([fill("greedy"), fill("other")]).toEqual([7_500, 2_500]);
  expect(refusal("third")).toMatchObject({ kind: "service.unavailable" });
});

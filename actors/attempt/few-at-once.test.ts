import { expect, test } from "bun:test";
import { fewAtOnce } from "./few-at-once.ts";

test("results come in order, of a few at once", async () => {
  let [running, most] = [0, 0];
  const gates = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
  const all = fewAtOnce(gates, 3, async ({ promise }, index) => {
    running += 1;
    most = Math.max(most, running);
    await promise;
    running -= 1;
    return index;
  });
  for (const { resolve } of [...gates].reverse()) resolve();
  expect(await all).toEqual([0, 1, 2, 3, 4, 5]);
  expect(most).toBe(3);
  expect(await fewAtOnce([], 3, async () => 1)).toEqual([]);
});

test("after an error nothing is begun, and nothing still runs when it is told", async () => {
  const begun: number[] = [];
  const ended: number[] = [];
  const slow = Promise.withResolvers<void>();
  const all = fewAtOnce([0, 1, 2, 3], 2, async (item) => {
    begun.push(item);
    if (item === 0) throw new Error("no room");
    await slow.promise;
    ended.push(item);
  });
  let told = false;
  const settled = all.catch((error: unknown) => {
    told = true;
    return String(error);
  });
  await Promise.resolve();
  expect(told).toBe(false);
  slow.resolve();
  expect(await settled).toBe("Error: no room");
  expect([begun, ended]).toEqual([[0, 1], [1]]);
});

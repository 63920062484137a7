import { expect, test } from "bun:test";
import { turn } from "./attempt.fixture.ts";
import { makeMemoryBudget } from "./memory-budget.ts";

const never = new AbortController().signal;

test("shares are given in order of arrival, and no more than there are", async () => {
  const take = makeMemoryBudget(10);
  const first = await take(6, never);
  const order: string[] = [];
  const large = take(8, never).then((share) => {
    order.push("large");
    return share;
  });
  // It would fit, but the large one came first and would wait for ever behind small ones.
  const small = take(3, never).then((share) => {
    order.push("small");
    return share;
  });
  await turn();
  expect(order).toEqual([]);
  first.release();
  // Twice is once.
  first.release();
  const second = await large;
  await turn();
  expect(order).toEqual(["large"]);
  second.release();
  (await small).release();
  (await take(10, never)).release();
});

test("who gives up leaves the queue to those behind", async () => {
  const take = makeMemoryBudget(10);
  const first = await take(6, never);
  const giving = new AbortController();
  const large = take(8, giving.signal);
  const small = take(4, never);
  giving.abort(new Error("cancelled"));
  await expect(large).rejects.toThrow("cancelled");
  (await small).release();
  // A share that was given is not taken back by a late abort.
  const late = new AbortController();
  const share = await take(4, late.signal);
  late.abort();
  const rest = take(1, never);
  await turn();
  share.release();
  first.release();
  (await rest).release();
  (await take(10, never)).release();
});

test("what can never be had is refused at once, and so is who has given up already", async () => {
  const take = makeMemoryBudget(10);
  await expect(take(11, never)).rejects.toMatchObject({ kind: "resource.memory", retry: "never" });
  await expect(take(1, AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
  (await take(10, never)).release();
});

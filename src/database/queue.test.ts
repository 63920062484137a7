import { expect, test } from "bun:test";
import { RendiffError } from "../errors.ts";
import { makePlaces } from "./queue.ts";

const kindOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: unknown) => (error instanceof RendiffError ? error.kind : String(error)),
  );

test("places are given in the order of arrival, and giving one back twice frees one", async () => {
  const places = makePlaces(1, 10);
  const order: number[] = [];
  const first = await places.acquire(1_000);
  const later = [1, 2, 3].map(async (n) => {
    const release = await places.acquire(1_000);
    order.push(n);
    release();
  });
  expect(places.waiting).toBe(3);
  first();
  first();
  await Promise.all(later);
  expect(order).toEqual([1, 2, 3]);
  const held = await places.acquire(1_000);
  expect(await kindOf(places.acquire(1))).toBe("database.timeout");
  held();
});

test("who waited in vain leaves the queue, and too many are turned away at once", async () => {
  const places = makePlaces(1, 2);
  const release = await places.acquire(1_000);
  const waiting = [kindOf(places.acquire(5)), kindOf(places.acquire(5))];
  expect(await kindOf(places.acquire(1_000))).toBe("database.unavailable");
  expect(await Promise.all(waiting)).toEqual(["database.timeout", "database.timeout"]);
  expect(places.waiting).toBe(0);
  release();
  expect(await kindOf(places.acquire(1))).toBe("none");
});

test("close turns away who waits and who comes, and ends with the last place", async () => {
  const places = makePlaces(1, 2);
  const release = await places.acquire(1_000);
  const waiting = kindOf(places.acquire(1_000));
  let closed = false;
  const closing = places.close().then(() => {
    closed = true;
  });
  expect(await waiting).toBe("database.unavailable");
  expect(await kindOf(places.acquire(1_000))).toBe("database.unavailable");
  expect(closed).toBe(false);
  release();
  await closing;
  await places.close();
});

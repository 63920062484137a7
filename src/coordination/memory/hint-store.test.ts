import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { PriorityClass, ReadyHint } from "../ports.ts";
import { Heap } from "./heap.ts";
import { HintStore } from "./hint-store.ts";

const ALL: readonly PriorityClass[] = ["high", "normal", "low"];

const hint = (jobId: string, rank: number): ReadyHint => ({ jobId, rank, priority: "normal" });

function drain(heap: Heap<number>): number[] {
  const items: number[] = [];
  for (let item = heap.pop(); item !== null; item = heap.pop()) items.push(item);
  return items;
}

test("a heap gives its items in order, also after some were dropped", () => {
  const property = fc.property(fc.array(fc.integer()), fc.integer({ min: 1, max: 5 }), (items, divisor) => {
    const heap = new Heap<number>((a, b) => a < b);
    for (const item of items) heap.push(item);
    const wanted = (item: number): boolean => item % divisor === 0;
    heap.keep(wanted);
    const sorted = items.filter(wanted).toSorted((a, b) => a - b);
    expect(heap.size).toBe(sorted.length);
    expect(heap.peek()).toBe(sorted[0] ?? null);
    expect(drain(heap)).toEqual(sorted);
  });
  fc.assert(property);
});

describe("HintStore", () => {
  test("moving one hint a hundred thousand times keeps it small", () => {
    const store = new HintStore();
    for (let rank = 0; rank < 100_000; rank++) {
      store.put(hint("a", rank));
      if (store.entries > 100) throw new Error(`It keeps ${store.entries} entries for one hint.`);
    }
    expect(store.pop(ALL)).toEqual(hint("a", 99_999));
    expect(store.pop(ALL)).toBeNull();
  });

  test("removing and clearing give memory back, and the order stays", () => {
    const store = new HintStore();
    for (let index = 0; index < 10_000; index++) store.put(hint(`job-${index}`, (index * 7919) % 10_000));
    for (let index = 0; index < 10_000; index++) if (index % 10 !== 0) store.remove(`job-${index}`);
    expect(store.size).toBe(1_000);
    expect(store.entries).toBeLessThanOrEqual(2_064);
    const ranks = Array.from({ length: 500 }, () => store.pop(ALL)?.rank ?? -1);
    expect(ranks).toEqual(ranks.toSorted((a, b) => a - b));
    store.clear();
    expect(store.entries).toBeLessThanOrEqual(64);
    expect(store.depths()).toEqual({ high: 0, normal: 0, low: 0 });
  });
});

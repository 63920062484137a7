import { expect, test } from "bun:test";
import { makeOwnCounts } from "./own-counts.ts";

test("counts down within a window, and begins anew after it", () => {
  let nowMs = 0;
  const counts = makeOwnCounts({ now: () => nowMs });
  const allowed = () => counts.count("a", 2, 1_000).allowed;
  expect([allowed(), allowed(), allowed()]).toEqual([true, true, false]);
  nowMs = 999;
  expect(counts.count("a", 2, 1_000)).toEqual({ allowed: false, limit: 2, remaining: 0, resetMs: 1 });
  nowMs = 1_000;
  expect(counts.count("a", 2, 1_000)).toEqual({ allowed: true, limit: 2, remaining: 1, resetMs: 1_000 });
  expect(counts.count("b", 2, 1_000).remaining).toBe(1);
});

test("a window that is under way keeps its end, whatever is said of a new one", () => {
  let nowMs = 0;
  const counts = makeOwnCounts({ now: () => nowMs });
  counts.count("a", 1, 1_000);
  nowMs = 600;
  expect(counts.count("a", 1, 1_000)).toMatchObject({ allowed: false, resetMs: 400 });
});

test("is bounded: the window that began first is forgotten", () => {
  const counts = makeOwnCounts({ namesMax: 2, now: () => 0 });
  for (const name of ["a", "b", "c"]) counts.count(name, 1, 1_000);
  expect(["b", "c", "a"].map((name) => counts.count(name, 1, 1_000).allowed)).toEqual([false, false, true]);
});

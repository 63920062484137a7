import { expect, test } from "bun:test";
import { DOINGS, INPUTS, TARGETS } from "./matrix.ts";
import { COVER, isImpossible, POSSIBLE, pairsOf } from "./matrix-cover.ts";

test("every pair that is possible is in the matrix, in some 430 cells that are all possible", () => {
  const wanted = new Set(POSSIBLE.flatMap(pairsOf));
  const covered = new Set(COVER.flatMap(pairsOf));
  expect([...wanted].filter((pair) => !covered.has(pair))).toEqual([]);
  expect(COVER.filter(isImpossible)).toEqual([]);
  expect(COVER.length).toBeGreaterThanOrEqual(INPUTS.length * DOINGS.length - 20);
  expect(COVER.length).toBeLessThan(450);
});

test("every input, operation and target is in it", () => {
  const used = new Set<object>(COVER.flatMap(({ input, doing, target }) => [input, doing, target]));
  expect([...INPUTS, ...DOINGS, ...TARGETS].filter((one) => !used.has(one))).toEqual([]);
});

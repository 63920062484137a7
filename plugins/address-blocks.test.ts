import { expect, test } from "bun:test";
import { makeAddressBlocks } from "./address-blocks.ts";

test("lasts as long as it was made for, and each address for itself", () => {
  let nowMs = 1_000;
  const blocks = makeAddressBlocks({ now: () => nowMs });
  blocks.add("a", 500);
  expect([blocks.remainingMs("a"), blocks.remainingMs("b")]).toEqual([500, 0]);
  nowMs += 499;
  expect(blocks.remainingMs("a")).toBe(1);
  nowMs += 1;
  expect(blocks.remainingMs("a")).toBe(0);
});

test("is bounded: the oldest goes", () => {
  const blocks = makeAddressBlocks({ entriesMax: 2, now: () => 0 });
  for (const name of ["a", "b", "a", "c"]) blocks.add(name, 10);
  expect(["a", "b", "c"].map(blocks.remainingMs)).toEqual([10, 0, 10]);
});

import { expect, test } from "bun:test";
import { isStaticElf } from "./host.ts";

/** A 64-bit little-endian ELF head with program headers of these types. */
function elf(...types: readonly number[]): Buffer {
  const head = Buffer.alloc(64 + types.length * 56);
  head.writeUInt32BE(0x7f454c46, 0);
  head[4] = 2;
  head[5] = 1;
  head.writeBigUInt64LE(64n, 32);
  head.writeUInt16LE(56, 54);
  head.writeUInt16LE(types.length, 56);
  for (const [index, type] of types.entries()) head.writeUInt32LE(type, 64 + index * 56);
  return head;
}

test("a program without a loader is static", () => {
  expect(isStaticElf(elf(1, 1, 4))).toBe(true);
  expect(isStaticElf(elf(6, 3, 1))).toBe(false);
});

test("scripts and cut files are taken for dynamic", () => {
  expect(isStaticElf(Buffer.from("#!/bin/sh\nexec true\n".repeat(10)))).toBe(false);
  expect(isStaticElf(elf(1, 1, 1).subarray(0, 70))).toBe(false);
  expect(isStaticElf(Buffer.alloc(0))).toBe(false);
});

import { expect, test } from "bun:test";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { readMachine } from "./machine.ts";

test("the machine has a CPU, no more memory than is built in, and a disk", () => {
  const machine = readMachine();
  expect(Number.isInteger(machine.cpuCount)).toBe(true);
  expect(machine.cpuCount).toBeGreaterThanOrEqual(1);
  expect(machine.memoryBytes).toBeGreaterThan(1e7);
  expect(machine.memoryBytes).toBeLessThanOrEqual(totalmem());
  expect(machine.diskBytes(tmpdir())).toBeGreaterThan(0);
});

test("a folder that does not exist yet is on the disk of the nearest that does", () => {
  const { diskBytes } = readMachine();
  expect(diskBytes(join(tmpdir(), "rendiff-not-there", "nor-this"))).toBe(diskBytes(tmpdir()));
});

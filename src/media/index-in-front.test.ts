import { expect, test } from "bun:test";
import { indexBytesInFront } from "./index-in-front.ts";

function box(type: string, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(Math.min(sizeBytes, 64));
  bytes.writeUInt32BE(sizeBytes, 0);
  bytes.write(type, 4, "latin1");
  return bytes;
}

test.each([
  ["an index in front", [box("ftyp", 32), box("moov", 70_000)], 70_000],
  ["an index at the end", [box("ftyp", 32), box("free", 8), box("mdat", 900_000)], 0],
  ["another container", [box("\u001aE\u00df\u00a3", 64)], 0],
  ["a first box that reaches beyond what is there", [box("ftyp", 4_000)], 0],
  ["nothing", [], 0],
] as const)("%s", (_, boxes, expected) => {
  expect(indexBytesInFront(Buffer.concat(boxes))).toBe(expected);
});

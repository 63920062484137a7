import { describe, expect, test } from "bun:test";
import { findLayout } from "./layout.ts";

const box = (type: string, ...parts: readonly Uint8Array[]): Uint8Array => {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + body.length);
  head.write(type, 4, "latin1");
  return Buffer.concat([head, body]);
};
const layoutOf = (...parts: readonly Uint8Array[]) => {
  const head = Buffer.concat(parts);
  return findLayout({ head, tail: head.subarray(-128), sizeBytes: head.length });
};

describe("an mp4", () => {
  const long = box("trak", new Uint8Array(1_000_000));
  const media = box("mdat", new Uint8Array(64));

  test("streams with an index of a megabyte before its media", () => {
    expect(layoutOf(box("ftyp"), box("moov", long), media)).toEqual({ streams: true, container: "mp4" });
  });

  test("does not where the index says that it is fragmented", () => {
    const found = layoutOf(box("ftyp"), box("moov", long, box("mvex")), media);
    expect(found).toMatchObject({ streams: false, reason: "it is fragmented" });
  });
});

test("a Matroska header of a megabyte is read for its name alone", () => {
  const header = Buffer.concat([
    Buffer.from([0x1a, 0x45, 0xdf, 0xa3, 0x10, 0x0f, 0x00, 0x00]),
    new Uint8Array(0x0f0000),
  ]);
  const segment = Buffer.from([0x18, 0x53, 0x80, 0x67, 0xff]);
  const cluster = Buffer.from([0x1f, 0x43, 0xb6, 0x75, 0xff]);
  expect(layoutOf(header, segment, cluster)).toEqual({ streams: true, container: "mkv" });
});

test("a Matroska file may list more parts than a call may have arguments", () => {
  const ebml = Buffer.from([0x1a, 0x45, 0xdf, 0xa3, 0x80]);
  const segment = Buffer.from([0x18, 0x53, 0x80, 0x67, 0xff]);
  const entries = Buffer.alloc(2_400_000, Buffer.from([0x4d, 0xbb, 0x80]));
  const list = Buffer.from([0x11, 0x4d, 0x9b, 0x74, 0x10, 0x24, 0x9f, 0x00]);
  const cluster = Buffer.from([0x1f, 0x43, 0xb6, 0x75, 0xff]);
  expect(layoutOf(ebml, segment, list, entries, cluster)).toEqual({ streams: true, container: "mkv" });
});

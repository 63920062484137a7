import { describe, expect, test } from "bun:test";
import { moveIndex, withMovedIndex } from "./move-index.ts";

const uint32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [at, value] of values.entries()) bytes.writeUInt32BE(value, at * 4);
  return bytes;
};
const box = (type: string, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([uint32(body.length + 8), Buffer.from(type, "latin1"), body]);
};
const index = (...tables: Uint8Array[]): Buffer =>
  box("moov", box("mvhd", uint32(1)), box("trak", box("mdia", box("minf", box("stbl", ...tables)))));
const stco = (...places: number[]): Buffer => box("stco", uint32(0, places.length, ...places));
const co64 = (place: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(place);
  return box("co64", uint32(0, 1), bytes);
};

/** Each in the one before. */
const nested = (type: string, depth: number): Buffer =>
  Buffer.concat(
    Array.from({ length: depth }, (_, n) => Buffer.concat([uint32((depth - n) * 8), Buffer.from(type, "latin1")])),
  );

const front = box("ftyp", Buffer.from("isom"));
const media = box("mdat", Buffer.from("one chunk, another chunk"));
const mediaAt = front.length;
const restAt = mediaAt + media.length;
const fileOf = (rest: Uint8Array): Buffer => Buffer.concat([front, media, rest]);

async function streamed(rest: Uint8Array, pieceBytes: number): Promise<Buffer | null> {
  const moved = moveIndex({ mediaAt, rest, restAt });
  if (moved === null) return null;
  const file = fileOf(rest);
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < file.length; at += pieceBytes) yield file.subarray(at, at + pieceBytes);
  }
  return Buffer.concat(await Array.fromAsync(withMovedIndex(pieces(), moved)));
}

describe("an index behind the media", () => {
  test.each([1, 3, 7, 20, 1_000])(
    "is sent first, with the places of all chunks moved (pieces of %d)",
    async (piece) => {
      const [before, after] = [box("free", uint32(0)), box("skip")];
      const places = [mediaAt + 8, mediaAt + 19];
      const own = index(stco(...places), co64(BigInt(mediaAt + 8)));
      const moved = index(stco(...places.map((at) => at + own.length)), co64(BigInt(mediaAt + 8 + own.length)));
      const got = await streamed(Buffer.concat([before, own, after]), piece);
      expect(got?.equals(Buffer.concat([front, moved, media, before, after]))).toBe(true);
      for (const [at, text] of [
        [places[0] ?? 0, "one"],
        [places[1] ?? 0, "another"],
      ] as const)
        expect(got?.subarray(at + own.length).toString("latin1")).toStartWith(text);
    },
  );

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["no index", box("free", uint32(0))],
    ["a second one", Buffer.concat([index(stco(30)), index(stco(30))])],
    ["more media", Buffer.concat([index(stco(30)), media])],
    ["fragments", box("moov", box("mvex"))],
    ["a compressed one", box("moov", box("cmov"))],
    ["places of encryption", index(stco(30), box("saio", uint32(0, 1, 30)))],
    ["places that do not fit", index(stco(0xffff_fff0))],
    ["a table that is cut off", index(box("stco", uint32(0, 9, 1)))],
    ["a box that is longer than what it is in", index(uint32(1_000, 0x7374_636f))],
    ["a box of no length", Buffer.concat([uint32(0), Buffer.from("moov")])],
    ["boxes in boxes without end", box("moov", nested("trak", 200_000))],
    ["a box's half", index(stco(30)).subarray(0, 20)],
  ])("that is %s is not understood", (_, rest) => {
    expect(moveIndex({ mediaAt, rest, restAt })).toBeNull();
  });
});

import { describe, expect, test } from "bun:test";
import { isWhole } from "./container-end.ts";

const ends = (bytes: readonly number[], sizeBytes = bytes.length) => {
  const all = Uint8Array.from(bytes);
  return { sizeBytes, head: all.slice(0, 64), tail: all };
};
const text = (value: string) => [...new TextEncoder().encode(value)];
const riff = (size: number) => [...text("RIFF"), size & 255, (size >> 8) & 255, 0, 0, ...text("AVI xxxx")];
/** A page with one segment of `body` bytes; flag 4 ends its stream. */
const page = (flags: number, body: number) => [
  ...[...text("OggS"), 0, flags, ...new Array<number>(20).fill(0), 1, body],
  ...new Array<number>(body).fill(7),
];

describe("a whole file", () => {
  test("has as many bytes as its RIFF header says", () => {
    expect(isWhole("avi", ends(riff(8)))).toBe(true);
    expect(isWhole("wav", ends(riff(9)))).toBe(false);
    // Never filled in: the writer did not come to its end.
    expect(isWhole("webp", ends(riff(0)))).toBe(false);
    expect(isWhole("avi", ends([1, 2, 3]))).toBe(false);
  });

  test("ends with a whole Ogg page that says so", () => {
    expect(isWhole("ogg", ends([...page(2, 3), ...page(4, 5)]))).toBe(true);
    expect(isWhole("ogg", ends([...page(2, 3), ...page(0, 5)]))).toBe(false);
    expect(isWhole("ogg", ends([...page(2, 3), ...page(4, 5)].slice(0, -1)))).toBe(false);
    expect(isWhole("ogg", ends(text("no page at all, but long enough")))).toBe(false);
  });

  test("ends with its format's last bytes", () => {
    expect(isWhole("gif", ends([1, 0x3b]))).toBe(true);
    expect(isWhole("gif", ends([0x3b, 1]))).toBe(false);
    expect(isWhole("jpg", ends([1, 0xff, 0xd9]))).toBe(true);
    expect(isWhole("jpg", ends([1, 0xff]))).toBe(false);
    expect(isWhole("png", ends([0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82]))).toBe(true);
    expect(isWhole("png", ends([0x49, 0x45, 0x4e, 0x44]))).toBe(false);
  });

  test("of MPEG-TS is made of whole packets", () => {
    expect(isWhole("ts", ends([], 188 * 7))).toBe(true);
    expect(isWhole("ts", ends([], 188 * 7 + 100))).toBe(false);
  });

  test("of other formats is for others to judge", () => expect(isWhole("mkv", ends([]))).toBe(true));
});

import { expect, test } from "bun:test";
import { makePeaks } from "./peaks.ts";

const bytes = (samples: readonly number[]): Uint8Array => new Uint8Array(Int16Array.from(samples).buffer);

test("keeps the lowest and the highest of each part, however the bytes arrive", () => {
  const all = bytes([0, 16_384, -16_384, 100, -32_768, 32_767]);
  for (const size of [1, 2, 3, 5, 12]) {
    const peaks = makePeaks({ sampleRate: 2, parts: 3 }, 6);
    for (let at = 0; at < all.length; at += size) peaks.push(all.subarray(at, at + size));
    const { json, samples, durationSeconds } = peaks.end();
    expect(samples).toBe(6);
    expect(durationSeconds).toBe(3);
    expect(JSON.parse(json)).toEqual({
      version: 1,
      duration_seconds: 3,
      peaks: [
        [0, 0.5],
        [-0.5, 0.0031],
        [-1, 1],
      ],
    });
  }
});

test("has no more parts than samples, and none of nothing", () => {
  const two = makePeaks({ sampleRate: 1, parts: 9 }, 2);
  two.push(bytes([1, 2]));
  expect((JSON.parse(two.end().json) as { peaks: unknown[] }).peaks).toHaveLength(2);
  expect(makePeaks({ sampleRate: 1, parts: 9 }, 0).end()).toMatchObject({ samples: 0 });
});

import { expect, test } from "bun:test";
import { parseMediaInfo } from "./media-info.ts";
import { checkInputLimits } from "./media-info-limits.ts";

const limits = {
  ...{ maxInputBytes: 1_000, maxDurationSeconds: 60, maxOperations: 1, maxWidth: 100, maxHeight: 50 },
  ...{ maxBitrate: 5_000, maxOutputs: 1, maxStreams: 2 },
};
const media = (width: number, height: number, format: object = {}, streams = 1) =>
  parseMediaInfo({
    streams: Array.from({ length: streams }, (_, index) => ({ index, codec_type: "video", width, height })),
    format: { format_name: "avi", size: "1000", duration: "60", bit_rate: "5000", ...format },
  });

test("an input at every limit passes, in either orientation", () => {
  expect(checkInputLimits(media(100, 50), limits)).toBeNull();
  expect(checkInputLimits(media(50, 100, {}, 2), limits)).toBeNull();
});

test.each([
  [media(101, 50), "limit.exceeded", "101x50"],
  [media(51, 100), "limit.exceeded", "51x100"],
  [media(60, 60), "limit.exceeded", "60x60"],
  [media(10, 10, { duration: "60.1" }), "limit.exceeded", "61 seconds"],
  [media(10, 10, { bit_rate: "5001" }), "limit.exceeded", "5001 bits"],
  [media(10, 10, {}, 3), "limit.exceeded", "3 streams"],
  [media(10, 10, { size: "1001" }), "input.too_large", "1001 bytes"],
] as const)("an input beyond one is refused with both numbers", (input, kind, words) => {
  const error = checkInputLimits(input, limits);
  expect(error?.kind).toBe(kind);
  expect(error?.publicMessage).toContain(words);
});

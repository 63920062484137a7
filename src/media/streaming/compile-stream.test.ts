import { expect, test } from "bun:test";
import { compilePackage } from "../../../test/support/packages.ts";
import { toMediaInfo } from "../../ffmpeg/captions.ts";
import { SAMPLE_MEDIA } from "../presets/sample.ts";

test("room for captions is set aside with that for the rest", () => {
  const cue = { startSeconds: 0, endSeconds: 1, spans: [], alignment: null };
  const captions = (sizeBytes: number) => toMediaInfo({ format: "srt", cues: [cue], script: null }, sizeBytes);
  const stream = { captions: [{ path: "a.srt", language: "de" }] };
  const room = (sizeBytes: number) => compilePackage([SAMPLE_MEDIA, captions(sizeBytes)], { stream }).workBytesMax;
  // Written once, and cut into segments.
  expect(room(10_000_000) - room(0)).toBeGreaterThanOrEqual(20_000_000);
});

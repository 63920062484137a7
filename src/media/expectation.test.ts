import { describe, expect, test } from "bun:test";
import { checkCounts, checkOutput, checkShape, lengthOf } from "./expectation.ts";
import { parseMediaInfo } from "./media-info.ts";
import type { Expectation } from "./types.ts";

const VIDEO = {
  ...{ index: 0, codec_type: "video", codec_name: "h264", width: 64, height: 48, duration: "10" },
  ...{ avg_frame_rate: "25/1", r_frame_rate: "25/1", nb_frames: "250" },
};
const AUDIO = { index: 1, codec_type: "audio", codec_name: "aac", sample_rate: "48000", channels: 2 };
const FORMAT = { format_name: "mov,mp4,m4a,3gp,3g2,mj2", duration: "10.02" };
const media = (streams: readonly object[] = [VIDEO, AUDIO], format: object = FORMAT) =>
  parseMediaInfo({ streams, format });

const EXPECT: Expectation = {
  demuxers: ["mp4", "mov"],
  durationSeconds: 10,
  durationToleranceSeconds: 0.1,
  video: [{ codec: "h264", width: 64, height: 48, fps: 25 }],
  audio: [{ codec: "aac", channels: 2, sampleRate: 48_000 }],
  subtitles: 0,
  still: false,
};
const one = (index: number, packets: number, frames: number | null, declared: number | null = null) => ({
  ...{ index, packets, frames, declared },
});

test("an output as planned has no problem", () => {
  expect(checkOutput(EXPECT, media())).toEqual([]);
  expect(checkCounts(media(), [one(0, 250, 250, 250), one(1, 470, 470, 470)], EXPECT)).toEqual([]);
});

describe("what differs is said with both numbers", () => {
  const wrong = (change: Partial<Expectation>) => checkOutput({ ...EXPECT, ...change }, media());

  test("container, streams and length", () => {
    expect(wrong({ demuxers: ["matroska"] })).toEqual(["it is mov instead of matroska"]);
    expect(wrong({ audio: [] })).toEqual(["it has 1 sound streams instead of 0"]);
    expect(wrong({ subtitles: 2 })).toEqual(["it has 0 subtitle streams instead of 2"]);
    expect(wrong({ durationSeconds: 12 })).toEqual(["it is 10.020 seconds long instead of 12.000 seconds"]);
    expect(wrong({ durationSeconds: 9.9 })).toHaveLength(1);
    expect(wrong({ durationSeconds: null })).toEqual([]);
  });

  test("codec, size and rates", () => {
    expect(wrong({ video: [{ codec: "hevc", width: 66, height: 48, fps: 30 }] })).toEqual([
      "picture stream 0 is h264 instead of hevc",
      "picture stream 0 is 64x48 instead of 66x48",
      "picture stream 0 has 25.000 frames a second instead of 30",
    ]);
    expect(wrong({ audio: [{ codec: "opus", channels: 1, sampleRate: 44_100 }] })).toHaveLength(3);
    expect(wrong({ audio: [{ codec: "aac", channels: null, sampleRate: null }] })).toEqual([]);
  });

  test("a length that is not said at all", () => {
    const silent = media([{ ...VIDEO, duration: "N/A" }, AUDIO], { ...FORMAT, duration: "N/A" });
    expect(checkOutput(EXPECT, silent)).toEqual(["it does not say how long it is; 10.000 seconds were expected"]);
  });
});

test("cover art is no picture stream, unless it was planned", () => {
  const cover = {
    index: 2,
    codec_type: "video",
    codec_name: "mjpeg",
    width: 9,
    height: 9,
    disposition: { attached_pic: 1 },
  };
  const withCover = media([VIDEO, AUDIO, cover]);
  expect(checkShape(EXPECT, withCover)).toEqual([]);
  const planned = { ...EXPECT, video: [...EXPECT.video, { codec: "mjpeg", width: 9, height: 9, fps: null }] };
  expect(checkShape(planned, withCover)).toEqual([]);
});

test("a turned copy may be planned by its coded size or by its shown one", () => {
  const turned = media([{ ...VIDEO, side_data_list: [{ rotation: -90 }] }, AUDIO]);
  const sized = (width: number, height: number) => ({
    ...EXPECT,
    video: [{ codec: "h264", width, height, fps: null }],
  });
  expect(checkShape(sized(64, 48), turned)).toEqual([]);
  expect(checkShape(sized(48, 64), turned)).toEqual([]);
  expect(checkShape(sized(48, 48), turned)).toHaveLength(1);
});

describe("what was counted", () => {
  test("finds packets that the index promises and the file lacks", () => {
    expect(checkCounts(media(), [one(0, 174, null, 250), one(1, 470, null)], EXPECT)).toEqual([
      "only 174 of 250 packets of stream 0 are there",
    ]);
  });

  test("finds empty streams and those that cannot be decoded", () => {
    expect(checkCounts(media(), [one(0, 250, 0), one(1, 0, 0)], EXPECT)).toEqual([
      "nothing of stream 0 can be decoded",
      "stream 1 is empty",
    ]);
    expect(checkCounts(media(), [], EXPECT)).toHaveLength(2);
  });

  test("is exactly one for a still picture", () => {
    const png = media([{ ...VIDEO, codec_name: "png" }], { format_name: "png_pipe" });
    const still = { ...EXPECT, still: true, video: [{ codec: "png", width: 64, height: 48, fps: null }], audio: [] };
    expect(checkCounts(png, [one(0, 1, 1)], still)).toEqual([]);
    expect(checkCounts(png, [one(0, 2, 2)], still)).toEqual(["it has 2 pictures instead of one"]);
  });

  test("is the length of raw AAC, whose header only allows a guess", () => {
    const adts = media([{ ...AUDIO, index: 0 }], { format_name: "aac", duration: "13.7" });
    expect(lengthOf(adts, [one(0, 469, null)])).toBeCloseTo(10.005, 3);
    expect(lengthOf(media(), [one(0, 1, null), one(1, 1, null)])).toBe(10.02);
  });
});

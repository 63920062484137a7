import { describe, expect, test } from "bun:test";
import { sampleCapabilities, sampleLimits } from "../../../test/support/capabilities.ts";
import { compile } from "../compile.ts";
import type { AudioStream, Capabilities, MediaInfo, VideoStream } from "../types.ts";
import { checkOperations } from "./check.ts";
import { parseOperations } from "./parse.ts";

const base = { profile: null, bitrate: null, startSeconds: 0, language: null, title: null, isDefault: true };

function film(seconds: number | null, more: Partial<VideoStream> = {}, sound = true): MediaInfo {
  const video: VideoStream = {
    ...{ ...base, kind: "video", index: 0, codec: "h264", durationSeconds: seconds },
    ...{ codedWidth: 640, codedHeight: 360, width: 640, height: 360, rotation: 0, sampleAspect: { num: 1, den: 1 } },
    ...{ pixelFormat: "yuv420p", bitDepth: 8, hasAlpha: false, averageFps: 25, nominalFps: 25, isVariableFps: false },
    ...{ frameCount: null, level: null, colorSpace: null, colorTransfer: null, colorPrimaries: null, colorRange: null },
    ...{ hdr: "sdr", interlaced: false, attachedPicture: false, still: false },
    ...more,
  };
  const audio: AudioStream = {
    ...{ ...base, kind: "audio", index: 1, codec: "aac", durationSeconds: seconds },
    ...{ sampleRate: 48_000, channels: 2, channelLayout: "stereo", sampleFormat: "fltp" },
  };
  return {
    ...{ demuxers: ["mov", "mp4"], container: "mp4", sizeBytes: 1_000_000, durationSeconds: seconds, startSeconds: 0 },
    ...{ bitrate: null, tags: {}, chapters: 0, warnings: [] },
    streams: sound ? [video, audio] : [video],
  };
}

interface Given {
  readonly operations: readonly object[];
  readonly media?: readonly MediaInfo[];
  readonly output?: string;
  readonly capabilities?: Capabilities;
}

function plan({ operations, media = [film(10), film(20)], output = "out.mp4", ...given }: Given) {
  return compile({
    ...{ operations: parseOperations(operations), options: {}, outputName: output, threads: 1 },
    inputs: media.map((one, n) => ({ file: `in/${n}`, media: one })),
    capabilities: given.capabilities ?? sampleCapabilities(9),
    limits: { ...sampleLimits, maxDurationSeconds: 40, maxInputBytes: 2_500_000 },
  });
}

const concat = (more: object = {}) => ({ type: "concat", inputs: ["b.mp4"], ...more });

describe("concat", () => {
  test("names what it takes", () => {
    const message = (operation: object) => {
      try {
        parseOperations([operation]);
        return "";
      } catch (error) {
        return JSON.stringify((error as { details: unknown }).details);
      }
    };
    expect(message(concat({ inputs: [] }))).toContain("must hold 1 to 99 URIs");
    expect(message(concat({ inputs: Array.from({ length: 100 }, () => "a.mp4") }))).toContain("must hold 1 to 99 URIs");
    expect(message(concat({ transition: "wipe" }))).toContain("must be none or fade");
    expect(message(concat({ transition_duration: 1 }))).toContain("transition is none");
    expect(message(concat({ transition: "fade", transition_duration: 31 }))).toContain("at most 30 seconds");
  });

  test.each([
    [[concat(), concat()], "is a second concat"],
    [[{ type: "thumbnail" }, concat()], "has to stand behind concat"],
    [[{ type: "audio", extract: true }, concat()], "has to stand behind concat"],
    [[{ type: "audio", normalize: true }, concat()], "has to stand behind concat"],
    [[{ type: "filter", name: "stabilize" }, concat()], "has to stand behind concat"],
    [[{ type: "subtitle", path: "a.srt", mode: "embed" }, concat()], "has to stand behind concat"],
    [[concat(), { type: "transcode", video_codec: "copy" }], "video_codec is copy"],
    [[concat(), { type: "transcode", audio_codec: "copy" }], "audio_codec is copy"],
  ])("refuses %j before anything is looked at", (operations, message) => {
    const request = { operations: parseOperations(operations), options: {}, outputName: "out.mp4" };
    const check = () => checkOperations({ ...request, capabilities: sampleCapabilities(9), limits: sampleLimits });
    expect(check).toThrow(message);
  });

  test("needs its filters", () => {
    const capabilities = {
      ...sampleCapabilities(9),
      filters: { ...sampleCapabilities(9).filters, xfade: { ok: false as const, reason: "it is not there" } },
    };
    expect(() => plan({ operations: [concat()], capabilities })).not.toThrow();
    const fade = concat({ transition: "fade" });
    expect(() => plan({ operations: [fade], capabilities })).toThrow("needs the filter xfade");
  });

  test("a film that could stay as it is is encoded all the same, and lasts as long as its files", () => {
    const { copiesOnly, outputs, steps } = plan({ operations: [concat()] });
    expect([copiesOnly, outputs[0]?.expect.durationSeconds]).toEqual([false, 30]);
    expect(steps[0]?.filterGraph).toContain("concat=n=2:v=1:a=0");
  });

  test("a fade is as long as was asked for, or as half of the shortest file", () => {
    const seconds = (media: readonly MediaInfo[], more: object = {}) =>
      plan({ operations: [concat({ transition: "fade", ...more })], media }).outputs[0]?.expect.durationSeconds;
    expect(seconds([film(10), film(20)])).toBe(29);
    expect(seconds([film(10), film(20)], { transition_duration: 2 })).toBe(28);
    expect(seconds([film(10), film(0.4)])).toBe(10.2);
    expect(() => seconds([film(10), film(3)], { transition_duration: 2 })).toThrow("at most 1.5 s fit");
    expect(() => seconds([film(null), film(3)])).toThrow("The input does not say how long it is");
  });

  test("limits hold for all files together", () => {
    expect(() => plan({ operations: [concat()], media: [film(25), film(20)] })).toThrow("last 45 seconds together");
    const three = [film(1), film(1), film(1)];
    expect(() => plan({ operations: [concat({ inputs: ["b", "c"] })], media: three })).toThrow(
      "3000000 bytes together",
    );
  });

  test("says which file cannot be joined", () => {
    const refused = (media: readonly MediaInfo[], ...before: object[]) => {
      return () => plan({ operations: [...before, concat()], media });
    };
    expect(refused([film(1), film(null, { still: true }, false)])).toThrow("File 1 of concat is a single picture");
    expect(refused([film(1), film(null, {}, false)])).toThrow("File 1 of concat has no sound");
    const heard = { ...film(1), streams: film(1).streams.slice(1) };
    expect(refused([heard, film(1)], { type: "flip", direction: "vertical" })).toThrow("no picture to flip");
    expect(refused([heard, film(1)])).not.toThrow();
  });

  test("films in HDR become plain among plain ones, and stay as they are among themselves", () => {
    const hdr = film(10, { hdr: "hdr10", bitDepth: 10, pixelFormat: "yuv420p10le", colorSpace: "bt2020nc" });
    const mixed = plan({ operations: [concat()], media: [film(10), hdr] });
    expect(mixed.steps[0]?.filterGraph?.match(/,tonemap=/g)).toHaveLength(1);
    expect(mixed.warnings.join()).toContain("Some of the files are HDR");
    const alike = plan({ operations: [concat()], media: [hdr, hdr] });
    expect(alike.steps[0]?.filterGraph).not.toContain("tonemap=");
  });

  test("what files have beyond a picture and a sound is left out, with a warning", () => {
    const rich = { ...film(10), chapters: 2 };
    expect(plan({ operations: [concat()], media: [rich, film(1)] }).warnings.join()).toContain("no chapters");
  });
});

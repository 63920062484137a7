import { describe, expect, test } from "bun:test";
import { sampleCapabilities, sampleLimits } from "../../../test/support/capabilities.ts";
import { checkOperations } from "./check.ts";
import { parseOperations } from "./parse.ts";

const raw = (...options: readonly object[]) => ({ type: "raw", options });
const h264 = { type: "transcode", video_codec: "h264" };

function check(operations: readonly object[], allowRawOptions = true, outputName = "out.mp4"): void {
  checkOperations({
    ...{ operations: parseOperations(operations), options: {}, outputName },
    ...{ capabilities: sampleCapabilities(9), limits: { ...sampleLimits, allowRawOptions } },
  });
}

describe("raw", () => {
  test("is taken where it is switched on, and refused by name where not", () => {
    expect(() => check([h264, raw({ name: "refs", value: 4 })])).not.toThrow();
    expect(() => check([h264, raw({ name: "refs", value: 4 })], false)).toThrow("raw is switched off here");
  });

  test.each([
    [raw({ name: "i", value: "/etc/passwd" }), "must be one of refs"],
    [raw({ name: "-vf", value: "movie=/etc/passwd" }), "must be one of refs"],
    [raw({ name: "refs", value: "4 -i /etc/passwd" }), "must be a whole number from 0 to 16"],
    [raw({ name: "refs", value: 17 }), "must be a whole number from 0 to 16"],
    [raw({ name: "refs", value: 1.5 }), "must be a whole number"],
    [raw({ name: "color_trc", value: "bt709:x" }), "must be one of bt709"],
    [raw({ name: "refs", value: 1 }, { name: "refs", value: 2 }), "is given twice"],
    [raw(), "must hold at least one option"],
    [{ type: "raw", options: "-refs 4" }, "options"],
    [{ ...raw({ name: "refs", value: 1 }), arguments: ["-refs", "4"] }, "arguments"],
  ])("%j is refused", (operation, words) => {
    expect(() => check([h264, operation])).toThrow(words);
  });

  test.each([
    [[raw({ name: "refs", value: 1 })], "out.mp4", "needs a transcode with a video_codec"],
    [[{ type: "transcode", video_codec: "vp9" }, raw({ name: "refs", value: 1 })], "out.webm", "is for h264"],
    [[h264, raw({ name: "cutoff", value: 9_000 })], "out.mp4", "needs a transcode with a audio_codec"],
    [[h264, raw({ name: "video_track_timescale", value: 9_000 })], "out.mkv", "the container is mkv"],
  ])("an option for something else is refused: %j", (operations, outputName, words) => {
    expect(() => check(operations, true, outputName)).toThrow(words);
  });
});

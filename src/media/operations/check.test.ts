import { describe, expect, test } from "bun:test";
import { sampleCapabilities, sampleLimits } from "../../../test/support/capabilities.ts";
import { RendiffError } from "../../errors.ts";
import type { Capabilities } from "../types.ts";
import { type CheckRequest, checkOperations } from "./check.ts";
import { parseOperations } from "./parse.ts";
import { targetSchema, verifySchema } from "./quality.schema.ts";

type Rest = Partial<Omit<CheckRequest, "operations" | "outputName">>;

function refusal(outputName: string, operations: readonly unknown[], rest: Rest = {}): RendiffError | null {
  try {
    const parsed = parseOperations(operations);
    const request = { options: {}, capabilities: sampleCapabilities(9), limits: sampleLimits, ...rest };
    checkOperations({ ...request, operations: parsed, outputName });
    return null;
  } catch (error) {
    if (error instanceof RendiffError) return error;
    throw error;
  }
}

const transcode = (fields: Record<string, unknown>) => ({ type: "transcode", ...fields });

const refused: readonly (readonly [string, readonly unknown[], string, string])[] = [
  ["a.webm", [transcode({ video_codec: "vp9", crf: 64 })], "operations[0].crf", "must be between 0 and 63 for vp9"],
  ["a.mp4", [transcode({ crf: 52 })], "operations[0].crf", "must be between 0 and 51 for h264"],
  ["a.webm", [transcode({ crf: 30.5 })], "operations[0].crf", "must be a whole number for vp9"],
  ["a.mov", [transcode({ video_codec: "prores", crf: 1 })], "operations[0].crf", "is not a parameter of prores"],
  [
    "a.webm",
    [transcode({ video_codec: "h264" })],
    "operations[0].video_codec",
    "is h264, which webm does not hold; it holds vp9, vp8, av1",
  ],
  [
    "a.mp3",
    [transcode({ video_codec: "h264" })],
    "operations[0].video_codec",
    "must be none, because mp3 holds sound only",
  ],
  [
    "a.gif",
    [transcode({ audio_codec: "aac" })],
    "operations[0].audio_codec",
    "must be none, because gif holds no sound",
  ],
  ["a.mp4", [transcode({ audio_codec: "vorbis" })], "operations[0].audio_codec", "is vorbis, which mp4 does not hold"],
  [
    "a.mp4",
    [transcode({ preset: "fastest" })],
    "operations[0].preset",
    "which is no preset of h264; did you mean faster?",
  ],
  ["a.mp4", [transcode({ level: "9.9" })], "operations[0].level", "which is no level of h264"],
  ["a.mp4", [transcode({ pixel_format: "rgb24" })], "operations[0].pixel_format", "which is no pixel format of h264"],
  [
    "a.mp4",
    [transcode({ profile: "main", pixel_format: "yuv444p" })],
    "operations[0].pixel_format",
    "profile main does not hold",
  ],
  [
    "a.mp4",
    [transcode({ profile: "baseline", b_frames: 2 })],
    "operations[0].b_frames",
    "must be 0 in profile baseline",
  ],
  ["a.mp4", [transcode({ video_bitrate: "200M" })], "operations[0].video_bitrate", "must be at most 100000000"],
  [
    "a.mp4",
    [transcode({ video_bitrate: "2M", max_bitrate: "1M" })],
    "operations[0].max_bitrate",
    "must not be below video_bitrate",
  ],
  ["a.mp4", [transcode({ buffer_size: "2M" })], "operations[0].buffer_size", "give max_bitrate too"],
  ["a.mp4", [transcode({ two_pass: true })], "operations[0].two_pass", "needs a video_bitrate"],
  [
    "a.mp4",
    [transcode({ video_codec: "av1", video_bitrate: "1M", two_pass: true })],
    "operations[0].two_pass",
    "is not available for av1",
  ],
  ["a.mp4", [transcode({ crf: 20, video_bitrate: "1M" })], "operations[0].crf", "give one of them"],
  ["a.mp4", [transcode({ video_codec: "copy", fps: 30 })], "operations[0].fps", "video_codec copy leaves as it is"],
  [
    "a.mp4",
    [transcode({ video_codec: "none", audio_codec: "none" })],
    "operations[0].video_codec",
    "nothing would be left",
  ],
  [
    "a.mp3",
    [transcode({ audio_bitrate: "400k" })],
    "operations[0].audio_bitrate",
    "must be between 8000 and 320000 for mp3",
  ],
  ["a.mp3", [transcode({ audio_channels: 6 })], "operations[0].audio_channels", "must be at most 2 for mp3"],
  [
    "a.opus",
    [transcode({ audio_sample_rate: 44_100 })],
    "operations[0].audio_sample_rate",
    "must be one of 48000 for opus",
  ],
  ["a.flac", [transcode({ audio_bitrate: "96k" })], "operations[0].audio_bitrate", "lossless"],
  ["a.mp4", [transcode({ width: 8_000, height: 8_000 })], "operations[0].width", "must fit 7680x4320"],
  ["a.mp4", [{ type: "scale", width: 4_000, height: 7_900 }], "operations[0].height", "must fit 7680x4320"],
  ["a.mp4", [transcode({}), transcode({})], "operations[1].type", "is a second transcode"],
  ["a.mp4", [transcode({ video_codec: "copy" }), { type: "flip" }], "operations[1].type", "video_codec is copy"],
  [
    "a.mp4",
    [transcode({ audio_codec: "copy" }), { type: "audio", volume: 2 }],
    "operations[1].type",
    "audio_codec is copy",
  ],
  ["a.mp4", [transcode({ video_codec: "copy" }), { type: "trim", start: 1 }], "operations[1].mode", "use mode fast"],
  ["a.mp3", [{ type: "flip" }], "operations[0].type", "there will be no picture in mp3"],
  ["a.mp3", [{ type: "text", text: "x" }], "operations[0].type", "there will be no picture in mp3"],
  [
    "a.mp4",
    [{ type: "text", text: "x" }, transcode({ video_codec: "copy" })],
    "operations[0].type",
    "is text, which changes the picture, and video_codec is copy",
  ],
  ["a.xyz", [], "output_path", "ends in .xyz"],
  ["name", [], "output_path", "has no extension"],
  ["a.png", [{ type: "thumbnail", quality: 50 }], "operations[0].quality", "lossless"],
  ["a.jpg", [{ type: "thumbnail", format: "png" }], "operations[0].format", "the file's name says jpg"],
  ["a.mp4", [{ type: "thumbnail" }], "output_path", "must end in jpg, png or webp"],
  ["a.mp4", [{ type: "flip" }, { type: "thumbnail", output: "a.mp4" }], "operations[1].output", "must end in jpg"],
  [
    "a.mp4",
    [{ type: "flip" }, { type: "thumbnail", output: "x.jpg" }, { type: "thumbnail", output: "x.jpg" }],
    "operations[2].output",
    "is the name of another output",
  ],
  ["a.jpg", [{ type: "thumbnail", mode: "multiple", count: 41 }], "operations", "make 41 files; at most 40"],
];

describe("checkOperations", () => {
  for (const [output, operations, path, message] of refused) {
    test(`${output} ${JSON.stringify(operations)} is refused`, () => {
      const error = refusal(output, operations);
      expect(error?.kind).toBe("request.invalid");
      const detail = error?.details.find((one) => one.path === path);
      expect(detail?.message).toContain(message);
    });
  }

  for (const [output, operations] of [
    ["a.mp4", []],
    ["A.MP4", [transcode({ crf: 17.5 })]],
    ["s3://bucket/folder/a.webm", [transcode({ video_bitrate: "1M", crf: 30, two_pass: true })]],
    ["a.jpg", [{ type: "crop", width: 5 }, { type: "thumbnail" }]],
    [
      "a.mp3",
      [
        { type: "trim", start: 1 },
        { type: "audio", extract: true },
      ],
    ],
    ["a.mp4", [transcode({ video_codec: "copy" }), { type: "trim", start: 1, mode: "fast" }]],
  ] as const) {
    test(`${output} ${JSON.stringify(operations)} is taken`, () => {
      expect(refusal(output, operations)).toBeNull();
    });
  }

  test("needs only the filters that are used", () => {
    const broken = { ok: false, reason: "it is not there" } as const;
    const whole = sampleCapabilities(9);
    const capabilities = { ...whole, filters: { ...whole.filters, ass: broken, showwavespic: broken } };
    const subtitle = { type: "subtitle", path: "a.srt" };
    expect(refusal("a.mp4", [{ ...subtitle, mode: "embed" }], { capabilities })).toBeNull();
    expect(refusal("a.mp4", [subtitle], { capabilities })?.kind).toBe("request.unsupported");
    expect(refusal("a.json", [{ type: "waveform" }], { capabilities })).toBeNull();
    expect(refusal("a.png", [{ type: "waveform" }], { capabilities })?.kind).toBe("request.unsupported");
  });

  test("options.format names the container where the extension does not", () => {
    expect(refusal("name", [], { options: { format: "mkv" } })).toBeNull();
    expect(refusal("name", [], { options: { format: "xyz" } })?.details[0]?.path).toBe("options.format");
  });

  test("refuses by name what the deployment cannot do", () => {
    const sample = sampleCapabilities(9);
    const capabilities: Capabilities = {
      ...sample,
      encoders: { ...sample.encoders, libx265: { ok: false, reason: "it crashed" } },
    };
    const error = refusal("a.mp4", [transcode({ video_codec: "h265" })], { capabilities });
    expect(error?.kind).toBe("request.unsupported");
    expect(error?.details[0]).toEqual({
      path: "operations[0].video_codec",
      message: "needs an encoder for h265, which does not work here: it crashed",
    });
    expect(refusal("a.mp4", [transcode({ video_codec: "h265" })], { capabilities: null })).toBeNull();
  });

  test("counts the operations", () => {
    const limits = { ...sampleLimits, maxOperations: 1 };
    expect(refusal("a.mp4", [{ type: "flip" }, { type: "flip" }], { limits })?.details[0]?.path).toBe("operations");
  });
});

test("an analysis is refused by name where no FFmpeg has libvmaf, and where its report is none", () => {
  const compared = { type: "analyze", reference: "b.mp4", metrics: ["psnr", "ms_ssim"] };
  const { kind, publicMessage, details } = refusal("a.json", [compared], { capabilities: sampleCapabilities(5) }) ?? {};
  expect([kind, details?.[0]?.path]).toEqual(["request.unsupported", "operations[0].metrics"]);
  expect(publicMessage).toContain("VMAF cannot be measured here");
  expect(refusal("a.json", [{ ...compared, metrics: ["psnr"] }], { capabilities: sampleCapabilities(5) })).toBeNull();
  expect(refusal("a.mp4", [compared])?.details[0]?.path).toBe("output_path");
  expect(refusal("a.json", [compared, { type: "rotate", angle: 90 }])?.publicMessage).toContain("stands alone");
});

describe("a model that no libvmaf here has", () => {
  const capabilities: Capabilities = {
    ...sampleCapabilities(9),
    vmaf: { ok: true, program: "ffmpeg", options: "old", models: ["vmaf_v0.6.1"] },
  };
  const model = { vmaf_model: "vmaf_4k_v0.6.1" } as const;
  const analysis = { type: "analyze", reference: "b.mp4", metrics: ["vmaf"] };

  test.each([
    ["a.json", [{ ...analysis, ...model }], {}, "operations[0].vmaf_model"],
    ["a.mp4", [transcode({})], { verify: verifySchema.parse({ vmaf_min: 90, ...model }) }, "options.verify.vmaf_model"],
    ["a.mp4", [transcode({})], { target: targetSchema.parse({ vmaf: 90, ...model }) }, "options.target.vmaf_model"],
  ])("is refused by name for %s %j %j", (name, operations, options, path) => {
    const { kind, publicMessage, details } = refusal(name, operations, { capabilities, options }) ?? {};
    expect([kind, details?.[0]?.path]).toEqual(["request.unsupported", path]);
    expect(publicMessage).toContain("with vmaf_4k_v0.6.1: this libvmaf has vmaf_v0.6.1 only");
  });

  test("keeps nobody from the others, and is no matter where VMAF is not asked for", () => {
    expect(refusal("a.json", [analysis], { capabilities })).toBeNull();
    expect(refusal("a.json", [{ ...analysis, ...model, metrics: ["psnr"] }], { capabilities })).toBeNull();
    const verify = verifySchema.parse({ black_max: 1, ...model });
    expect(refusal("a.mp4", [transcode({})], { capabilities, options: { verify } })).toBeNull();
  });
});

test("a stabilized film is compared only where one FFmpeg does both", () => {
  const verify = verifySchema.parse({ vmaf_min: 90 });
  const stabilized = [{ type: "filter", name: "stabilize" }, transcode({})];
  const by = (program: "ffmpeg" | "vmaf"): Rest => ({
    capabilities: { ...sampleCapabilities(9), vmaf: { ok: true, program, options: "new" } },
    options: { verify },
  });
  expect(refusal("a.mp4", stabilized, by("ffmpeg"))).toBeNull();
  expect(refusal("a.mp4", [transcode({})], by("vmaf"))).toBeNull();
  const { kind, details } = refusal("a.mp4", stabilized, by("vmaf")) ?? {};
  expect([kind, details?.[0]?.path]).toEqual(["request.unsupported", "options.verify.vmaf_min"]);
});

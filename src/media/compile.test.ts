import { describe, expect, test } from "bun:test";
import { z } from "zod";
import { sampleCapabilities, sampleLimits } from "../../test/support/capabilities.ts";
import { RendiffError } from "../errors.ts";
import { type CompileRequest, compile } from "./compile.ts";
import { optionsSchema } from "./operations/options.schema.ts";
import { operationSchemas, parseOperations } from "./operations/parse.ts";
import type { AudioStream, MediaInfo, VideoStream } from "./types.ts";

const base = {
  profile: null,
  bitrate: null,
  durationSeconds: 10,
  startSeconds: 0,
  language: null,
  title: null,
  isDefault: true,
};

const picture: VideoStream = {
  ...base,
  kind: "video",
  index: 0,
  codec: "h264",
  codedWidth: 640,
  codedHeight: 360,
  width: 640,
  height: 360,
  rotation: 0,
  sampleAspect: { num: 1, den: 1 },
  pixelFormat: "yuv420p",
  bitDepth: 8,
  hasAlpha: false,
  averageFps: 25,
  nominalFps: 25,
  isVariableFps: false,
  frameCount: 250,
  level: null,
  colorSpace: null,
  colorTransfer: null,
  colorPrimaries: null,
  colorRange: null,
  hdr: "sdr",
  interlaced: false,
  attachedPicture: false,
  still: false,
};
const sound: AudioStream = {
  ...base,
  kind: "audio",
  index: 1,
  codec: "aac",
  sampleRate: 48_000,
  channels: 2,
  channelLayout: "stereo",
  sampleFormat: "fltp",
};
const film: MediaInfo = {
  demuxers: ["mov", "mp4"],
  container: "mp4",
  sizeBytes: 1_000_000,
  durationSeconds: 10,
  startSeconds: 0,
  bitrate: 800_000,
  tags: {},
  streams: [picture, sound],
  chapters: 0,
  warnings: [],
};
const still: MediaInfo = {
  ...film,
  demuxers: ["png_pipe"],
  container: "png",
  durationSeconds: null,
  streams: [{ ...picture, codec: "png", still: true, durationSeconds: null, averageFps: null }],
};

const plan = (outputName: string, operations: readonly unknown[], media = film, rest: Partial<CompileRequest> = {}) =>
  compile({
    options: {},
    inputs: [{ file: "in/0", media }],
    capabilities: sampleCapabilities(9),
    limits: sampleLimits,
    threads: 2,
    ...rest,
    operations: parseOperations(operations),
    outputName,
  });

function refusal(...args: Parameters<typeof plan>): RendiffError {
  try {
    plan(...args);
  } catch (error) {
    if (error instanceof RendiffError) return error;
    throw error;
  }
  throw new Error("It was not refused.");
}

const silent = { ...film, streams: [picture] };
const heard = { ...film, streams: [sound] };

describe("a plan that cannot be", () => {
  test("has two outputs of one name, also where nobody gave it", () => {
    const sprite = (output: string) => ({ type: "thumbnail", mode: "sprite", output });
    const several = { type: "thumbnail", mode: "multiple", count: 2, output: "x.jpg" };
    for (const [operations, name] of [
      [[sprite("x.jpg"), sprite("x.png")], "x.vtt"],
      [[several, { type: "thumbnail", output: "x-2.jpg" }], "x-2.jpg"],
    ] as const) {
      const error = refusal("a.mp4", [{ type: "flip" }, ...operations]);
      expect([error.kind, error.publicMessage]).toEqual(["plan.invalid", expect.stringContaining(` ${name};`)]);
    }
  });

  const cases: readonly (readonly [string, Parameters<typeof plan>, string, string])[] = [
    [
      "sound of a silent film",
      ["a.mp3", [], silent],
      "plan.invalid",
      "The input has no sound, so it cannot become mp3.",
    ],
    [
      "an extract of nothing",
      ["a.mp3", [{ type: "audio", extract: true }], silent],
      "plan.invalid",
      "The input has no sound to extract.",
    ],
    [
      "a picture of a song",
      ["a.jpg", [{ type: "thumbnail" }], heard],
      "plan.invalid",
      "The input has no picture to take a thumbnail of.",
    ],
    [
      "captions drawn over a song",
      ["a.mp4", [{ type: "subtitle", path: "a.srt" }], heard],
      "plan.invalid",
      "The input has no picture to subtitle.",
    ],
    [
      "a song turned",
      ["a.mp4", [{ type: "rotate", angle: 90 }], heard],
      "plan.invalid",
      "The input has no picture to rotate.",
    ],
    [
      "a film of a picture",
      ["a.mp4", [], still],
      "plan.invalid",
      "The input is a single picture, which cannot become mp4; use png, jpg, webp or gif.",
    ],
    [
      "a part of a picture",
      ["a.png", [{ type: "trim", start: 1 }], still],
      "plan.invalid",
      "The input is a single picture, of which nothing can be trimmed.",
    ],
    [
      "a part beyond the end",
      ["a.mp4", [{ type: "trim", start: 10 }]],
      "plan.invalid",
      "The trim starts at 10 s, but there are only 10 s.",
    ],
    [
      "a thumbnail beyond the end",
      ["a.jpg", [{ type: "thumbnail", time: 11 }]],
      "plan.invalid",
      "The thumbnail is to be taken at 11 s, but there are only 10 s.",
    ],
    [
      "a crop beyond the edge",
      ["a.mp4", [{ type: "crop", width: 600, x: 100 }]],
      "plan.invalid",
      "The crop of 600x360 at 100,0 reaches beyond the picture, which is 640x360 there.",
    ],
    [
      "a copy the container cannot hold",
      ["a.webm", [{ type: "transcode", video_codec: "copy" }]],
      "plan.invalid",
      "The picture cannot be copied: webm does not hold h264. Name a video_codec or another container.",
    ],
    [
      "nothing left",
      ["a.mp4", [{ type: "audio", remove: true }], heard],
      "plan.invalid",
      "Nothing would be left: the operations drop everything that the input has.",
    ],
    [
      "too many files",
      ["a.jpg", [{ type: "thumbnail", mode: "multiple", interval: 0.1 }]],
      "limit.exceeded",
      "The thumbnails would be 100 files; at most 40 are allowed.",
    ],
    [
      "too large a frame",
      [
        "a.mkv",
        [
          { type: "pad", width: "1000%", height: "1000%" },
          { type: "pad", width: "200%", height: "200%" },
        ],
      ],
      "limit.exceeded",
      "The output would be 12800x7200; 7680x4320 is allowed.",
    ],
    [
      "an unknown format",
      ["a.mp4", [], { ...film, demuxers: ["hls"], container: "hls" }],
      "input.unsupported",
      "Inputs of the format hls are not accepted.",
    ],
    [
      "an animation that nobody reads",
      ["a.webp", [], film, { capabilities: { ...sampleCapabilities(9), ffprobeVersion: "n5.1.9" } }],
      "plan.unsupported",
      "Animated WebP cannot be verified here, because ffprobe is too old to read it; use gif or webm.",
    ],
  ];
  for (const [what, request, kind, message] of cases) {
    test(what, () => {
      const error = refusal(...request);
      expect(error.kind).toBe(kind as typeof error.kind);
      expect(error.publicMessage).toBe(message);
      expect(error.retry).toBe("never");
    });
  }
});

describe("a plan", () => {
  test("copies what needs nothing, and says so", () => {
    const { copiesOnly, steps } = plan("a.mkv", []);
    expect(copiesOnly).toBe(true);
    expect(steps).toHaveLength(1);
    expect(steps[0]?.filterGraph).toBeNull();
    expect(steps[0]?.memoryBytesMax).toBeLessThan(500e6);
  });

  test("copies where an operation changes nothing", () => {
    expect(
      plan("a.mp4", [
        { type: "scale", width: 640, height: 360 },
        { type: "rotate", angle: 0 },
      ]).copiesOnly,
    ).toBe(true);
  });

  test("has no room for an encoder that does not work", () => {
    const sample = sampleCapabilities(9);
    const capabilities = {
      ...sample,
      encoders: { ...sample.encoders, libx264: { ok: false, reason: "it crashed" } as const },
    };
    const error = refusal("a.mp4", [{ type: "flip" }], film, { capabilities });
    expect(error.kind).toBe("plan.unsupported");
    expect(error.publicMessage).toContain("it crashed");
  });

  test("names the further files after the first", () => {
    const names = (output: string, operations: readonly unknown[]) =>
      plan(output, operations).outputs.map(({ name }) => name);
    const many = { type: "thumbnail", mode: "multiple", count: 3 };
    expect(names("s3://b/film.mp4", [{ type: "flip" }, many, { type: "audio", extract: true }])).toEqual([
      null,
      "film-thumbnail-1-1.jpg",
      "film-thumbnail-1-2.jpg",
      "film-thumbnail-1-3.jpg",
      "film-audio-1.mp3",
    ]);
    expect(names("cover.png", [many])).toEqual([null, "cover-thumbnail-2.png", "cover-thumbnail-3.png"]);
    expect(names("a.mp4", [{ type: "flip" }, { ...many, count: 2, output: "x.webp" }])).toEqual([
      null,
      "x-1.webp",
      "x-2.webp",
    ]);
  });

  test("gives memory by pixels and threads, above what was measured", () => {
    const memory = (codec: string, width: number, height: number, threads: number) => {
      const large = { ...film, streams: [{ ...picture, width, height, codedWidth: width, codedHeight: height }] };
      const { steps } = plan("a.mkv", [{ type: "transcode", video_codec: codec }], large, { threads });
      return (steps[0]?.memoryBytesMax ?? 0) / 1e6;
    };
    const measured: readonly (readonly [string, number, number])[] = [
      ["h264", 1_446, 2_104],
      ["h265", 1_551, 2_319],
      ["av1", 2_766, 4_922],
      ["vp9", 990, 1_749],
    ];
    for (const [codec, hd, uhd] of measured) {
      expect(memory(codec, 1_920, 1_080, 2)).toBeWithin(hd * 1.15, hd * 1.9);
      expect(memory(codec, 3_840, 2_160, 2)).toBeWithin(uhd * 1.15, uhd * 1.9);
    }
    expect(memory("h264", 1_920, 1_080, 64)).toBeGreaterThan(5_200);
  });

  test("takes no more threads than the client wants", () => {
    expect(plan("a.mp4", [{ type: "flip" }], film, { options: { threads: 1 } }).steps[0]?.threads).toBe(1);
    expect(plan("a.mp4", [{ type: "flip" }], film, { options: { threads: 64 } }).steps[0]?.threads).toBe(2);
  });

  test("warns of what is left out", () => {
    const streams = [
      ...film.streams,
      { ...base, kind: "other", index: 2, codec: "unknown", codecType: "data" } as const,
    ];
    expect(plan("a.mp4", [], { ...film, streams }).warnings).toEqual(["1 data stream is left out."]);
  });
});

test("schemas become OpenAPI", () => {
  for (const schema of [...Object.values(operationSchemas), optionsSchema]) {
    const json = z.toJSONSchema(schema as z.ZodType, { io: "input" });
    expect(json.type).toBe("object");
  }
});

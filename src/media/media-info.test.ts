import { describe, expect, test } from "bun:test";
import { parseMediaInfo } from "./media-info.ts";
import { bitDepthOf, hasAlpha } from "./media-info-video.ts";
import type { VideoStream } from "./types.ts";

/** As ffprobe 5.1 and 6.0 print it for a one-second H.264 in mp4, less what is not read. */
const H264 = {
  index: 0,
  codec_name: "h264",
  profile: "Constrained Baseline",
  codec_type: "video",
  width: 64,
  height: 48,
  sample_aspect_ratio: "1:1",
  pix_fmt: "yuv420p",
  level: 10,
  field_order: "progressive",
  r_frame_rate: "25/1",
  avg_frame_rate: "25/1",
  start_time: "0.000000",
  duration: "1.000000",
  bit_rate: "73968",
  bits_per_raw_sample: "8",
  nb_frames: "25",
  disposition: { default: 1, attached_pic: 0 },
  tags: { language: "und", handler_name: "VideoHandler" },
};
const AAC = {
  index: 1,
  codec_name: "aac",
  profile: "LC",
  codec_type: "audio",
  sample_fmt: "fltp",
  sample_rate: "44100",
  channels: 6,
  channel_layout: "5.1",
  start_time: "-0.023220",
  duration: "1.021678",
  bit_rate: "69586",
  disposition: { default: 1 },
  tags: { language: "deu", title: "Kommentar" },
};
const MP4 = {
  format_name: "mov,mp4,m4a,3gp,3g2,mj2",
  start_time: "0.000000",
  duration: "1.000000",
  size: "10203",
  bit_rate: "81624",
  tags: { major_brand: "isom", encoder: "Lavf59.27.100" },
};

const parse = (streams: readonly object[], format: object = MP4, rest: object = {}) =>
  parseMediaInfo({ streams, format, ...rest });

function videoOf(stream: object, format: object = MP4): VideoStream {
  const found = parse([stream], format).streams[0];
  if (found?.kind !== "video") throw new Error("There is no picture.");
  return found;
}

describe("a plain film", () => {
  const media = parse([H264, AAC], MP4, { chapters: [{ id: 0 }, { id: 1 }] });

  test("is named, measured and described", () => {
    expect(media).toMatchObject({
      ...{ container: "mp4", sizeBytes: 10_203, durationSeconds: 1, startSeconds: 0, bitrate: 81_624, chapters: 2 },
      ...{ demuxers: ["mov", "mp4", "m4a", "3gp", "3g2", "mj2"], tags: { major_brand: "isom" }, warnings: [] },
    });
    expect(media.streams[0]).toMatchObject({
      ...{
        kind: "video",
        codec: "h264",
        width: 64,
        height: 48,
        codedWidth: 64,
        rotation: 0,
        frameCount: 25,
        level: 10,
      },
      ...{ averageFps: 25, nominalFps: 25, isVariableFps: false, bitDepth: 8, hasAlpha: false, hdr: "sdr" },
      ...{ interlaced: false, attachedPicture: false, still: false, language: null, title: null, isDefault: true },
    });
    expect(media.streams[1]).toMatchObject({
      ...{ kind: "audio", codec: "aac", sampleRate: 44_100, channels: 6, channelLayout: "5.1", language: "deu" },
      ...{ title: "Kommentar", startSeconds: -0.02322, bitrate: 69_586 },
    });
  });
});

describe("rotation", () => {
  const matrix = (rotation: number | string) => ({
    ...H264,
    side_data_list: [{ side_data_type: "Display Matrix", displaymatrix: "\n00000000: …", rotation }],
  });

  test("is clockwise, from the counter-clockwise display matrix, and swaps the sides", () => {
    expect(videoOf(matrix(-90))).toMatchObject({
      rotation: 90,
      width: 48,
      height: 64,
      codedWidth: 64,
      codedHeight: 48,
    });
    expect(videoOf(matrix(90))).toMatchObject({ rotation: 270, width: 48 });
    expect(videoOf(matrix(180))).toMatchObject({ rotation: 180, width: 64 });
    expect(videoOf(matrix(-180))).toMatchObject({ rotation: 180 });
    expect(videoOf(matrix("-90"))).toMatchObject({ rotation: 90 });
  });

  test("comes from the tag of older files when there is no matrix", () => {
    expect(videoOf({ ...H264, tags: { rotate: "270" } })).toMatchObject({ rotation: 270, width: 48 });
  });

  test("is rounded to a quarter turn with a warning", () => {
    const media = parse([matrix(-85)]);
    expect(media.streams[0]).toMatchObject({ rotation: 90 });
    expect(media.warnings).toEqual(["The picture is turned by 85 degrees; 90 is used."]);
  });
});

describe("rates", () => {
  test("are variable where frames are left out", () => {
    expect(videoOf({ ...H264, avg_frame_rate: "11/1" }).isVariableFps).toBe(true);
    expect(videoOf({ ...H264, avg_frame_rate: "359/12", r_frame_rate: "30/1" }).isVariableFps).toBe(false);
    expect(videoOf({ ...H264, avg_frame_rate: "30000/1001", r_frame_rate: "30000/1001" }).averageFps).toBeCloseTo(
      29.97,
    );
  });

  test("of fields are no variable rate", () => {
    const fields = { ...H264, field_order: "tt", r_frame_rate: "50/1", avg_frame_rate: "25/1" };
    expect(videoOf(fields)).toMatchObject({ interlaced: true, isVariableFps: false });
  });

  test("that are not known are null", () => {
    const unknown = videoOf({ ...H264, avg_frame_rate: "0/0", r_frame_rate: "90000/0" });
    expect(unknown).toMatchObject({ averageFps: null, nominalFps: null, isVariableFps: false });
  });
});

describe("colours", () => {
  const hevc = {
    ...H264,
    codec_name: "hevc",
    pix_fmt: "yuv420p10le",
    color_space: "bt2020nc",
    color_primaries: "bt2020",
  };

  test("say which kind of HDR it is", () => {
    expect(videoOf({ ...hevc, color_transfer: "smpte2084" })).toMatchObject({ hdr: "hdr10", bitDepth: 10 });
    expect(videoOf({ ...hevc, color_transfer: "arib-std-b67" }).hdr).toBe("hlg");
    const dovi = { side_data_type: "DOVI configuration record", dv_profile: 8, dv_bl_signal_compatibility_id: 1 };
    expect(videoOf({ ...hevc, color_transfer: "smpte2084", side_data_list: [dovi] }).hdr).toBe("dolby_vision");
    expect(videoOf(hevc).hdr).toBe("sdr");
  });

  test.each([
    ["yuv420p", 8, false],
    ["yuv420p10le", 10, false],
    ["yuva444p12be", 12, true],
    ["p010le", 10, false],
    ["p416be", 16, false],
    ["nv12", 8, false],
    ["nv20le", 10, false],
    ["gray16le", 16, false],
    ["rgb24", 8, false],
    ["rgb48be", 16, false],
    ["rgba64le", 16, true],
    ["gbrap10le", 10, true],
    ["gbrpf32le", 32, false],
    ["x2rgb10le", 10, false],
    ["ya8", 8, true],
    ["pal8", 8, true],
  ])("of %s have %d bits", (format, bits, alpha) => {
    expect(bitDepthOf(format, null)).toBe(bits);
    expect(hasAlpha(format)).toBe(alpha);
  });

  test("of WebM keep their alpha in a second layer", () => {
    const vp9 = { ...H264, codec_name: "vp9", tags: { alpha_mode: "1" } };
    expect(videoOf(vp9, { format_name: "matroska,webm" }).hasAlpha).toBe(true);
  });
});

describe("containers", () => {
  const nameOf = (format: object, ...codecs: readonly string[]) =>
    parse(
      codecs.map((codec_name, index) => ({ ...H264, index, codec_name })),
      format,
    ).container;

  test.each([
    ["qt  ", "mov"],
    ["isom", "mp4"],
    ["M4A ", "m4a"],
    ["3gp4", "3gp"],
    ["avif", "avif"],
    ["heic", "heic"],
  ])("of the brand %p is %s", (major_brand, name) => {
    expect(nameOf({ ...MP4, tags: { major_brand } }, "h264")).toBe(name);
  });

  test("without a brand are old QuickTime", () => expect(nameOf({ ...MP4, tags: {} }, "h264")).toBe("mov"));

  test("of the Matroska family are WebM when they hold nothing else", () => {
    expect(nameOf({ format_name: "matroska,webm" }, "vp9", "opus")).toBe("webm");
    expect(nameOf({ format_name: "matroska,webm" }, "vp9", "aac")).toBe("mkv");
    expect(nameOf({ format_name: "matroska,webm" })).toBe("mkv");
  });

  test.each([
    ["mpegts", "ts"],
    ["png_pipe", "png"],
    ["jpeg_pipe", "jpg"],
    ["avi", "avi"],
    ["asf", "wmv"],
    ["gif", "gif"],
  ])("read by %s are %s", (format_name, name) => expect(nameOf({ format_name }, "x")).toBe(name));
});

describe("odd files", () => {
  test("that do not say how long they are get null and a warning", () => {
    const media = parse([{ ...H264, duration: "N/A" }], { format_name: "matroska,webm", duration: "N/A" });
    expect(media.durationSeconds).toBeNull();
    expect(media.warnings).toEqual(["The file does not say how long it is."]);
  });

  test("take their length from their longest stream, Matroska's by its tag", () => {
    const stream = { ...H264, duration: undefined, tags: { DURATION: "00:01:02.500000000" } };
    expect(parse([stream], { format_name: "matroska,webm" }).durationSeconds).toBe(62.5);
  });

  test("keep cover art apart from the picture", () => {
    const cover = { ...H264, index: 2, codec_name: "mjpeg", disposition: { attached_pic: 1 } };
    const { streams } = parse([H264, AAC, cover]);
    expect(streams.map((one) => one.kind === "video" && one.attachedPicture)).toEqual([false, false, true]);
  });

  test("that are pictures have no length and no rate", () => {
    const media = parse([{ ...H264, codec_name: "png", nb_frames: "N/A", duration: "N/A" }], {
      format_name: "png_pipe",
    });
    expect(media).toMatchObject({ durationSeconds: null, warnings: [] });
    expect(media.streams[0]).toMatchObject({ still: true, averageFps: null });
  });

  test("may hold what is neither picture, sound nor subtitle", () => {
    const { streams } = parse([
      { index: 0, codec_type: "data", codec_name: "bin_data" },
      { index: 1, codec_type: "attachment", codec_name: "ttf" },
      { index: 2, codec_type: "subtitle", codec_name: "ass" },
      { index: 3, codec_type: "subtitle", codec_name: "dvd_subtitle" },
      { index: 4 },
    ]);
    expect(
      streams.map((one) => (one.kind === "other" ? one.codecType : one.kind === "subtitle" && one.textBased)),
    ).toEqual([...["data", "attachment", true, false, "unknown"]]);
  });

  test("of any shape do not make it throw", () => {
    for (const hostile of [null, 1, "x", [], {}, { streams: 5, format: [] }, { streams: [null, 7, "a"] }]) {
      expect(parseMediaInfo(hostile)).toMatchObject({ sizeBytes: null, durationSeconds: null });
    }
    const nan = videoOf({ ...H264, width: "NaN", height: -5, level: -99, side_data_list: "x", disposition: null });
    expect(nan).toMatchObject({ width: 0, height: 0, level: null });
    const { tags } = parse([], { tags: { ["__proto__"]: "x", long: "y".repeat(10_000) } });
    expect(Object.getPrototypeOf(tags)).toBe(Object.prototype);
    expect(tags.long).toHaveLength(2_000);
  });
});

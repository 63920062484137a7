import {
  bitsOfCrf,
  type EncodeContext,
  type EncoderArg,
  optional,
  type Pass,
  passArgs,
  rateArgs,
  type VideoEncoder,
  type VideoSettings,
} from "./video-encoder.ts";

const DEADLINES = ["best", "good", "realtime"];
const SPEEDS = ["0", "1", "2", "3", "4", "5", "6", "7", "8"];

/** A preset is one of libvpx's deadlines or a speed of its `good` deadline; realtime has speeds of its own. */
function speed(preset: string | null, fallback: string, pass: Pass | null): string[] {
  // Its realtime deadline has no passes: the fastest that has stands in for faster ones.
  if (pass !== null && preset !== null && Number(preset) > 5) return ["-deadline:v:0", "good", "-cpu-used:v:0", "5"];
  if (preset === null) return ["-deadline:v:0", "good", "-cpu-used:v:0", fallback];
  if (preset === "realtime") return ["-deadline:v:0", "realtime", "-cpu-used:v:0", "8"];
  if (DEADLINES.includes(preset)) return ["-deadline:v:0", preset];
  return ["-deadline:v:0", Number(preset) > 5 ? "realtime" : "good", "-cpu-used:v:0", preset];
}

const common = (settings: VideoSettings): string[] =>
  optional([
    ["-tune:v:0", settings.tune],
    ["-crf:v:0", settings.crf],
    ["-g:v:0", settings.gopSize],
  ]);

/** Frames that are never shown have no transparency. */
const alphaArgs = (pixelFormat: string): string[] => (pixelFormat.startsWith("yuva") ? ["-auto-alt-ref:v:0", "0"] : []);

/** libvpx takes a missing bitrate for 200 kbit/s: constant quality needs it at zero (VP9) or out of the way (VP8). */
function rate(settings: VideoSettings, otherwise: number): string[] {
  return settings.bitrate === null ? ["-b:v:0", String(otherwise), ...rateArgs(settings)] : rateArgs(settings);
}

function vp9Args(settings: VideoSettings, { pixelFormat, width, threads, pass }: EncodeContext): EncoderArg[] {
  const columns = Math.max(0, Math.min(4, Math.floor(Math.log2(Math.max(1, width / 256)))));
  return [
    ...speed(settings.preset, "3", pass),
    ...optional([["-profile:v:0", settings.profile]]),
    ...common(settings),
    ...rate(settings, 0),
    "-row-mt:v:0",
    "1",
    "-tile-columns:v:0",
    String(columns),
    "-threads:v:0",
    String(threads),
    ...alphaArgs(pixelFormat),
    ...passArgs(pass),
  ];
}

function vp8Args(
  settings: VideoSettings,
  { pixelFormat, width, height, fps, threads, pass }: EncodeContext,
): EncoderArg[] {
  const ceiling = Math.max(1_000_000, Math.round(width * height * fps * 0.3));
  return [
    ...speed(settings.preset, "2", pass),
    ...common(settings),
    ...rate(settings, settings.maxBitrate ?? ceiling),
    "-threads:v:0",
    String(Math.min(16, threads)),
    ...alphaArgs(pixelFormat),
    ...passArgs(pass),
  ];
}

const shared = {
  takesBitrate: true,
  takesMaxBitrate: true,
  twoPass: true,
  takesGop: true,
  bFramesMax: 0,
  presets: [...DEADLINES, ...SPEEDS],
  tunes: ["psnr", "ssim"],
  levels: [],
  frameRates: [],
  memory: { baseMb: 575, perMegapixelMb: 80, perThreadMb: 35, perThreadMegapixelMb: 15 },
} as const;

export const vp9: VideoEncoder = {
  ...shared,
  codec: "vp9",
  probed: "vp9",
  encoders: ["libvpx-vp9"],
  crf: { min: 0, max: 63, default: 31, fractions: false },
  profiles: {
    "0": ["yuv420p", "yuva420p"],
    "1": ["yuv444p", "yuv422p"],
    "2": ["yuv420p10le"],
    "3": ["yuv444p10le", "yuv422p10le"],
  },
  pixelFormats: ["yuv420p", "yuva420p", "yuv420p10le", "yuv422p", "yuv422p10le", "yuv444p", "yuv444p10le"],
  sizeMax: 65_535,
  bitsPerPixelMax: ({ crf }) => bitsOfCrf(0.3, 31, 9, crf ?? 31),
  pixelFormat: ({ bitDepth, hasAlpha }) => {
    if (hasAlpha) return "yuva420p";
    return bitDepth > 8 ? "yuv420p10le" : "yuv420p";
  },
  args: vp9Args,
};

export const vp8: VideoEncoder = {
  ...shared,
  codec: "vp8",
  probed: "vp8",
  encoders: ["libvpx"],
  crf: { min: 4, max: 63, default: 10, fractions: false },
  profiles: {},
  pixelFormats: ["yuv420p", "yuva420p"],
  sizeMax: 16_383,
  bitsPerPixelMax: () => 0.6,
  pixelFormat: ({ hasAlpha }) => (hasAlpha ? "yuva420p" : "yuv420p"),
  args: vp8Args,
};

import {
  bitsOfCrf,
  type EncodeContext,
  type EncoderArg,
  optional,
  passArgs,
  rateArgs,
  type VideoEncoder,
  type VideoSettings,
} from "./video-encoder.ts";

export const X26X_PRESETS = [
  "ultrafast",
  "superfast",
  "veryfast",
  "faster",
  "fast",
  "medium",
  "slow",
  "slower",
  "veryslow",
  "placebo",
] as const;

const LEVELS = "1.0 1.1 1.2 1.3 2.0 2.1 2.2 3.0 3.1 3.2 4.0 4.1 4.2 5.0 5.1 5.2 6.0 6.1 6.2".split(" ");

function args(settings: VideoSettings, context: EncodeContext): EncoderArg[] {
  return [
    ...optional([
      ["-preset:v:0", settings.preset ?? "medium"],
      ["-tune:v:0", settings.tune],
      ["-profile:v:0", settings.profile],
      ["-level:v:0", settings.level],
      ["-crf:v:0", settings.crf],
      ["-g:v:0", settings.gopSize],
      ["-bf:v:0", settings.bFrames],
    ]),
    ...rateArgs(settings),
    "-threads:v:0",
    String(context.threads),
    ...passArgs(context.pass),
  ];
}

export const h264: VideoEncoder = {
  codec: "h264",
  probed: "h264",
  encoders: ["libx264"],
  crf: { min: 0, max: 51, default: 23, fractions: true },
  takesBitrate: true,
  takesMaxBitrate: true,
  twoPass: true,
  takesGop: true,
  bFramesMax: 16,
  presets: X26X_PRESETS,
  tunes: ["film", "animation", "grain", "stillimage", "fastdecode", "zerolatency", "psnr", "ssim"],
  profiles: {
    baseline: ["yuv420p"],
    main: ["yuv420p"],
    high: ["yuv420p"],
    high10: ["yuv420p10le", "yuv420p"],
    high422: ["yuv422p", "yuv422p10le", "yuv420p", "yuv420p10le"],
    high444: ["yuv444p", "yuv444p10le", "yuv422p", "yuv422p10le", "yuv420p", "yuv420p10le"],
  },
  levels: LEVELS,
  pixelFormats: ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"],
  frameRates: [],
  sizeMax: 16_384,
  memory: { baseMb: 575, perMegapixelMb: 61, perThreadMb: 35, perThreadMegapixelMb: 15 },
  bitsPerPixelMax: ({ crf }) => bitsOfCrf(0.4, 23, 6, crf ?? 23),
  // Ten bits or full chroma play on few devices: whoever wants them names the pixel format.
  pixelFormat: () => "yuv420p",
  args,
};

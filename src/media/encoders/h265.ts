import { X26X_PRESETS } from "./h264.ts";
import {
  bitsOfCrf,
  type EncodeContext,
  type EncoderArg,
  optional,
  rateArgs,
  type VideoEncoder,
  type VideoSettings,
} from "./video-encoder.ts";

/** The threads and the passes are x265's own parameters: FFmpeg's `-threads` and `-pass` do not reach it. */
function ownParameters(settings: VideoSettings, { threads, pass }: EncodeContext): EncoderArg {
  const parameters = [
    `pools=${threads}`,
    `frame-threads=${Math.max(1, Math.min(4, threads))}`,
    "log-level=error",
    ...(settings.level === null ? [] : [`level-idc=${settings.level}`]),
    ...(settings.fixedGop === true ? ["scenecut=0", "open-gop=0"] : []),
  ].join(":");
  if (pass === null) return parameters;
  return { file: pass.log, form: "option", prefix: `${parameters}:pass=${pass.number}:stats=` };
}

function args(settings: VideoSettings, context: EncodeContext): EncoderArg[] {
  return [
    ...optional([
      ["-preset:v:0", settings.preset ?? "medium"],
      ["-tune:v:0", settings.tune],
      ["-profile:v:0", settings.profile],
      ["-crf:v:0", settings.crf],
      ["-g:v:0", settings.gopSize],
      ["-bf:v:0", settings.bFrames],
    ]),
    ...rateArgs(settings),
    "-x265-params:v:0",
    ownParameters(settings, context),
  ];
}

export const h265: VideoEncoder = {
  codec: "h265",
  probed: "hevc",
  encoders: ["libx265"],
  crf: { min: 0, max: 51, default: 28, fractions: true },
  takesBitrate: true,
  takesMaxBitrate: true,
  twoPass: true,
  takesGop: true,
  bFramesMax: 16,
  presets: X26X_PRESETS,
  tunes: ["psnr", "ssim", "grain", "fastdecode", "zerolatency", "animation"],
  profiles: {
    main: ["yuv420p"],
    main10: ["yuv420p10le"],
    "main422-10": ["yuv422p10le", "yuv422p"],
    "main444-8": ["yuv444p"],
    "main444-10": ["yuv444p10le"],
  },
  levels: "1.0 2.0 2.1 3.0 3.1 4.0 4.1 5.0 5.1 5.2 6.0 6.1 6.2".split(" "),
  pixelFormats: ["yuv420p", "yuv420p10le", "yuv422p", "yuv422p10le", "yuv444p", "yuv444p10le"],
  frameRates: [],
  sizeMax: 16_384,
  // Below a width of 64 it writes beyond its memory.
  sizeMin: { libx265: [64, 16] },
  memory: { baseMb: 670, perMegapixelMb: 75, perThreadMb: 35, perThreadMegapixelMb: 15 },
  bitsPerPixelMax: ({ crf }) => bitsOfCrf(0.25, 28, 6, crf ?? 28),
  pixelFormat: ({ bitDepth }) => (bitDepth > 8 ? "yuv420p10le" : "yuv420p"),
  args,
};

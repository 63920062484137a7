import {
  bitsOfCrf,
  type EncodeContext,
  type EncoderArg,
  optional,
  rateArgs,
  type VideoEncoder,
  type VideoSettings,
} from "./video-encoder.ts";

const PRESETS = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"];

function svtArgs(settings: VideoSettings, { threads }: EncodeContext): EncoderArg[] {
  return [
    "-preset:v:0",
    settings.preset ?? "8",
    ...optional([
      ["-crf:v:0", settings.crf],
      ["-g:v:0", settings.gopSize],
    ]),
    ...rateArgs(settings),
    // Later releases read it as a level from 1 to 6 instead of a number of processors; both fix the threads.
    "-svtav1-params:v:0",
    `lp=${Math.min(6, threads)}`,
  ];
}

/** libaom's speeds end where SVT's are still middling. */
function aomArgs(settings: VideoSettings, { threads }: EncodeContext): EncoderArg[] {
  return [
    "-cpu-used:v:0",
    String(Math.min(8, Number(settings.preset ?? "6"))),
    ...optional([
      ["-crf:v:0", settings.crf],
      ["-g:v:0", settings.gopSize],
    ]),
    ...(settings.bitrate === null ? ["-b:v:0", "0"] : []),
    ...rateArgs(settings),
    "-row-mt:v:0",
    "1",
    "-threads:v:0",
    String(threads),
  ];
}

export const av1: VideoEncoder = {
  codec: "av1",
  probed: "av1",
  encoders: ["libsvtav1", "libaom-av1"],
  crf: { min: 0, max: 63, default: 35, fractions: false },
  takesBitrate: true,
  takesMaxBitrate: false,
  twoPass: false,
  takesGop: true,
  bFramesMax: 0,
  presets: PRESETS,
  tunes: [],
  profiles: {},
  levels: [],
  pixelFormats: ["yuv420p", "yuv420p10le"],
  frameRates: [],
  sizeMax: 16_384,
  sizeMin: { libsvtav1: [64, 64] },
  memory: { baseMb: 1_310, perMegapixelMb: 280, perThreadMb: 100, perThreadMegapixelMb: 30 },
  bitsPerPixelMax: ({ crf }) => bitsOfCrf(0.25, 35, 9, crf ?? 35),
  pixelFormat: ({ bitDepth }) => (bitDepth > 8 ? "yuv420p10le" : "yuv420p"),
  args: (settings, context) => (context.encoder === "libaom-av1" ? aomArgs : svtArgs)(settings, context),
};

/** ProRes and MPEG-2: for editing, broadcast and old players. */
import {
  type EncodeContext,
  type EncoderArg,
  optional,
  passArgs,
  rateArgs,
  type VideoEncoder,
  type VideoSettings,
} from "./video-encoder.ts";

const PRORES_PROFILES: Readonly<Record<string, string>> = {
  proxy: "0",
  lt: "1",
  standard: "2",
  hq: "3",
  "4444": "4",
  "4444xq": "5",
};

function proresArgs(settings: VideoSettings, { threads }: EncodeContext): EncoderArg[] {
  return [
    ...optional([["-profile:v:0", PRORES_PROFILES[settings.profile ?? ""] ?? null]]),
    "-vendor:v:0",
    "apl0",
    "-threads:v:0",
    String(threads),
  ];
}

const YUV422 = ["yuv422p10le"];
const YUV444 = ["yuv444p10le", "yuva444p10le"];

export const prores: VideoEncoder = {
  codec: "prores",
  probed: "prores",
  encoders: ["prores_ks"],
  crf: null,
  takesBitrate: false,
  takesMaxBitrate: false,
  twoPass: false,
  takesGop: false,
  bFramesMax: 0,
  presets: [],
  tunes: [],
  profiles: { proxy: YUV422, lt: YUV422, standard: YUV422, hq: YUV422, "4444": YUV444, "4444xq": YUV444 },
  levels: [],
  pixelFormats: [...YUV422, ...YUV444],
  frameRates: [],
  sizeMax: 16_384,
  memory: { baseMb: 150, perMegapixelMb: 40, perThreadMb: 30, perThreadMegapixelMb: 10 },
  bitsPerPixelMax: ({ profile }) => (profile?.startsWith("4444") ? 12 : 6),
  pixelFormat: ({ hasAlpha, chroma }) => {
    if (hasAlpha) return "yuva444p10le";
    return chroma === "444" ? "yuv444p10le" : "yuv422p10le";
  },
  args: proresArgs,
};

function mpeg2Args(settings: VideoSettings, { threads, pass }: EncodeContext): EncoderArg[] {
  return [
    ...(settings.bitrate === null ? ["-q:v:0", "4"] : []),
    ...rateArgs(settings),
    ...optional([
      ["-g:v:0", settings.gopSize],
      ["-bf:v:0", settings.bFrames],
    ]),
    "-threads:v:0",
    String(threads),
    ...passArgs(pass),
  ];
}

export const mpeg2: VideoEncoder = {
  codec: "mpeg2",
  probed: "mpeg2video",
  encoders: ["mpeg2video"],
  crf: null,
  takesBitrate: true,
  takesMaxBitrate: true,
  twoPass: true,
  takesGop: true,
  bFramesMax: 16,
  presets: [],
  tunes: [],
  profiles: {},
  levels: [],
  pixelFormats: ["yuv420p", "yuv422p"],
  frameRates: [
    [24_000, 1_001],
    [24, 1],
    [25, 1],
    [30_000, 1_001],
    [30, 1],
    [50, 1],
    [60_000, 1_001],
    [60, 1],
  ],
  sizeMax: 4_095,
  memory: { baseMb: 150, perMegapixelMb: 40, perThreadMb: 30, perThreadMegapixelMb: 10 },
  bitsPerPixelMax: () => 1,
  pixelFormat: ({ chroma }) => (chroma === "422" ? "yuv422p" : "yuv420p"),
  args: mpeg2Args,
};

/** Single pictures and short loops: GIF, WebP, PNG, JPEG. */
import { optional, type VideoEncoder } from "./video-encoder.ts";

const base = {
  crf: null,
  takesBitrate: false,
  takesMaxBitrate: false,
  twoPass: false,
  takesGop: false,
  bFramesMax: 0,
  presets: [],
  tunes: [],
  profiles: {},
  levels: [],
  frameRates: [],
  sizeMax: 65_535,
  memory: { baseMb: 150, perMegapixelMb: 40, perThreadMb: 30, perThreadMegapixelMb: 10 },
} as const;

export const gif: VideoEncoder = {
  ...base,
  codec: "gif",
  probed: "gif",
  encoders: ["gif"],
  // Colours are chosen by a palette in the graph.
  pixelFormats: ["pal8"],
  bitsPerPixelMax: () => 8,
  pixelFormat: () => "pal8",
  args: () => [],
};

export const webp: VideoEncoder = {
  ...base,
  codec: "webp",
  probed: "webp",
  encoders: ["libwebp_anim", "libwebp"],
  pixelFormats: ["yuv420p", "yuva420p", "bgra"],
  sizeMax: 16_383,
  bitsPerPixelMax: () => 4,
  pixelFormat: ({ hasAlpha }) => (hasAlpha ? "yuva420p" : "yuv420p"),
  args: ({ quality }) => ["-quality:v:0", String(quality ?? 80)],
};

export const png: VideoEncoder = {
  ...base,
  codec: "png",
  probed: "png",
  encoders: ["png"],
  pixelFormats: ["rgb24", "rgba", "gray", "rgb48be", "rgba64be"],
  // Noise does not compress: sixteen bits of four channels are 64.
  bitsPerPixelMax: () => 66,
  pixelFormat: ({ bitDepth, hasAlpha }) => {
    if (bitDepth > 8) return hasAlpha ? "rgba64be" : "rgb48be";
    return hasAlpha ? "rgba" : "rgb24";
  },
  args: () => [],
};

/** libjpeg's scale of 1–100 on FFmpeg's quantisers of 31–2. */
const quantiser = (quality: number): number => Math.round(31 - ((quality - 1) / 99) * 29);

export const mjpeg: VideoEncoder = {
  ...base,
  codec: "mjpeg",
  probed: "mjpeg",
  encoders: ["mjpeg"],
  pixelFormats: ["yuvj420p", "yuvj444p"],
  bitsPerPixelMax: () => 12,
  pixelFormat: () => "yuvj420p",
  args: ({ quality }) => optional([["-q:v:0", quantiser(quality ?? 90)]]),
};

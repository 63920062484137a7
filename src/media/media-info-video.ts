/** The picture's facts: rotation, rate, depth, colours. */
import { type Json, numberOf, positive, ratioOf, recordOf, recordsOf, tagOf, textOf } from "./media-info-fields.ts";
import type { OtherStream, VideoStream } from "./types.ts";

type Rotation = VideoStream["rotation"];
type VideoFacts = Omit<VideoStream, BaseKey>;
type BaseKey = Exclude<keyof OtherStream, "kind" | "codecType">;

const sideDataOf = (json: Json) => recordsOf(json.side_data_list);

/**
 * Clockwise, rounded to a quarter turn. ffprobe gives the display matrix's angle counter-clockwise, between −180 and 180;
 * files written before matrices were common have a `rotate` tag, clockwise.
 */
function rotationOf(json: Json, warnings: string[]): Rotation {
  const matrix = sideDataOf(json).find((one) => numberOf(one.rotation) !== null);
  const clockwise = matrix === undefined ? numberOf(tagOf(json, "rotate")) : -(numberOf(matrix.rotation) ?? 0);
  if (clockwise === null) return 0;
  const quarter = ((Math.round(clockwise / 90) % 4) + 4) % 4;
  if (Math.abs(clockwise / 90 - Math.round(clockwise / 90)) > 0.01) {
    warnings.push(`The picture is turned by ${clockwise} degrees; ${quarter * 90} is used.`);
  }
  return (quarter * 90) as Rotation;
}

/** Formats whose name ends in digits that are not a depth. */
const EIGHT_BITS = /^(nv12|nv16|nv21|nv24|nv42|rgb24|bgr24|pal8|ya8|gray8)$/;

/** Bits of a component, from FFmpeg's name of the pixel format: yuv420p10le, p010le, gray16be, rgb48le, gbrap12le. */
export function bitDepthOf(pixelFormat: string | null, rawBits: number | null): number {
  const name = pixelFormat?.replace(/(le|be)$/, "") ?? null;
  if (name === null) return rawBits ?? 8;
  if (EIGHT_BITS.test(name)) return 8;
  if (name === "nv20") return 10;
  if (/^(rgb48|bgr48|rgba64|bgra64|ayuv64)$/.test(name)) return 16;
  const depth = /(?:^|[a-z]|[024])(9|10|12|14|16|32)$/.exec(name)?.[1];
  return depth === undefined ? 8 : Number(depth);
}

export function hasAlpha(pixelFormat: string | null): boolean {
  return /^(yuva|ayuv|vuya|rgba|bgra|argb|abgr|gbrap|ya\d|pal8)/.test(pixelFormat ?? "");
}

const fpsOf = (value: unknown): number | null => {
  const ratio = ratioOf(value);
  return ratio === null ? null : ratio.num / ratio.den;
};

/** A shift of half a percent is more than rounding of timestamps makes in a film of a few seconds. */
const RATE_TOLERANCE = 0.005;

/**
 * ffprobe's base rate is the lowest that fits all timestamps, its average counts frames: they differ where frames are left
 * out. Interlaced files may show fields as their base rate.
 */
function isVariable(average: number | null, base: number | null, interlaced: boolean): boolean {
  if (average === null || base === null) return false;
  const differs = (rate: number) => Math.abs(rate - average) > average * RATE_TOLERANCE;
  return differs(base) && !(interlaced && !differs(base / 2));
}

function hdrOf(json: Json): VideoStream["hdr"] {
  if (sideDataOf(json).some((one) => /^DOVI configuration/.test(textOf(one.side_data_type) ?? "")))
    return "dolby_vision";
  if (json.color_transfer === "smpte2084") return "hdr10";
  if (json.color_transfer === "arib-std-b67") return "hlg";
  return "sdr";
}

/** The file around a stream, as far as its picture depends on it. */
export interface Around {
  readonly demuxers: readonly string[];
  /** From the major brand: `mov` holds AVIF and HEIC pictures as well as films. */
  readonly pictureBrand: boolean;
}

function isStill(json: Json, { demuxers, pictureBrand }: Around): boolean {
  if (demuxers.some((name) => name.endsWith("_pipe") || name === "image2")) return true;
  return pictureBrand && (positive(json.nb_frames) ?? 1) === 1;
}

export function videoOf(json: Json, around: Around, warnings: string[]): VideoFacts {
  const codedWidth = positive(json.width) ?? 0;
  const codedHeight = positive(json.height) ?? 0;
  const rotation = rotationOf(json, warnings);
  const sideways = rotation === 90 || rotation === 270;
  const pixelFormat = textOf(json.pix_fmt);
  const interlaced = /^(tt|bb|tb|bt)$/.test(textOf(json.field_order) ?? "");
  const disposition = recordOf(json.disposition);
  const attachedPicture = numberOf(disposition.attached_pic) === 1 || numberOf(disposition.timed_thumbnails) === 1;
  const still = !attachedPicture && isStill(json, around);
  const averageFps = still || attachedPicture ? null : fpsOf(json.avg_frame_rate);
  const nominalFps = still || attachedPicture ? null : fpsOf(json.r_frame_rate);
  return {
    kind: "video",
    codedWidth,
    codedHeight,
    width: sideways ? codedHeight : codedWidth,
    height: sideways ? codedWidth : codedHeight,
    rotation,
    sampleAspect: ratioOf(json.sample_aspect_ratio) ?? { num: 1, den: 1 },
    pixelFormat,
    bitDepth: bitDepthOf(pixelFormat, positive(json.bits_per_raw_sample)),
    hasAlpha: hasAlpha(pixelFormat) || tagOf(json, "alpha_mode") === "1",
    ...(numberOf(json.has_b_frames) === null ? {} : { reorderFrames: numberOf(json.has_b_frames) ?? 0 }),
    averageFps,
    nominalFps,
    isVariableFps: isVariable(averageFps, nominalFps, interlaced),
    frameCount: positive(json.nb_frames) ?? positive(tagOf(json, "NUMBER_OF_FRAMES")),
    level: positive(json.level),
    colorSpace: textOf(json.color_space),
    colorTransfer: textOf(json.color_transfer),
    colorPrimaries: textOf(json.color_primaries),
    colorRange: textOf(json.color_range),
    hdr: hdrOf(json),
    interlaced,
    attachedPicture,
    still,
  };
}

/**
 * Which renditions a package has: from the source alone, or as they were asked for.
 *
 * A rung is a box of 16:9 (upright: 9:16) into which the picture is fitted, so that a wide film at "1080" is 1920 pixels
 * wide and 800 high. The rates are those of the common HLS authoring tables for H.264, taken down with the pixels that a
 * picture really has; nothing is larger, faster or richer in bits than the source.
 */
import type { Fraction } from "../operations/scalars.ts";
import type { StreamVariant, StreamVideoCodec } from "../operations/stream.schema.ts";

export interface LadderSource {
  /** As shown, square pixels. */
  readonly width: number;
  readonly height: number;
  readonly fps: Fraction;
  /** Bits per second of its picture; null when the file does not say. */
  readonly bitrate: number | null;
}

export interface Rung {
  readonly width: number;
  readonly height: number;
  readonly fps: Fraction;
  readonly bitrate: number;
  readonly codec: StreamVideoCodec;
  /** Undefined: the encoder's usual one. */
  readonly preset: string | undefined;
}

/** Shorter side and bits per second at 30 frames a second. */
const RUNGS: readonly (readonly [side: number, bitrate: number])[] = [
  [2160, 14_000_000],
  [1440, 8_000_000],
  [1080, 5_000_000],
  [720, 2_800_000],
  [480, 1_400_000],
  [360, 800_000],
  [240, 400_000],
];
const WIDE = 16 / 9;
const DEFAULT_RUNGS_MAX = 6;
/** Two rungs nearer than this are one choice too many for a player. */
const STEP_MAX = 0.75;
const FAST_FPS = 32;
/** Twice the pictures need half as many bits again. */
const FAST_SHARE = 1.5;
/** Up to here a fast film is shown at half its rate: small screens and bad networks. */
const HALVED_SIDE_MAX = 360;
/** Bits grow slower than pixels. */
const PIXEL_POWER = 0.75;
const BITRATE_MIN = 30_000;
/** What a codec needs of H.264's bits for the same picture. */
const CODEC_SHARE: Readonly<Record<StreamVideoCodec, number>> = { h264: 1, h265: 0.65, vp9: 0.7, av1: 0.55 };

const even = (value: number): number => Math.max(2, Math.round(value / 2) * 2);
const evenDown = (value: number): number => Math.max(2, Math.floor(value / 2) * 2);
const rateOf = ({ num, den }: Fraction): number => num / den;

const boxOf = (side: number): { readonly long: number; readonly short: number } => ({
  long: Math.round(side * WIDE),
  short: side,
});

/** The picture inside a rung's box, never larger than it is. */
function fit(source: LadderSource, side: number): { readonly width: number; readonly height: number } {
  const { long, short } = boxOf(side);
  const longest = Math.max(source.width, source.height);
  const shortest = Math.min(source.width, source.height);
  const scale = Math.min(1, long / longest, short / shortest);
  if (scale === 1) return { width: evenDown(source.width), height: evenDown(source.height) };
  return { width: even(source.width * scale), height: even(source.height * scale) };
}

/** Between and beyond the table's sizes, by the number of pixels. */
export function bitrateFor(pixels: number, fps: number, codec: StreamVideoCodec): number {
  const area = (side: number): number => side * boxOf(side).long;
  const [side, rate] = RUNGS.find(([one]) => area(one) <= pixels) ?? (RUNGS.at(-1) as readonly [number, number]);
  const scaled = rate * (pixels / area(side)) ** PIXEL_POWER * (fps > FAST_FPS ? FAST_SHARE : 1) * CODEC_SHARE[codec];
  return Math.max(BITRATE_MIN, Math.round(scaled / 1_000) * 1_000);
}

const halved = ({ num, den }: Fraction): Fraction => (num % 2 === 0 ? { num: num / 2, den } : { num, den: den * 2 });

/** The default ladder, best first. */
export function ladderOf(source: LadderSource): readonly Rung[] {
  const rungs: Rung[] = [];
  for (const [side] of RUNGS) {
    const { width, height } = fit(source, side);
    const last = rungs.at(-1);
    // Of the boxes that are larger than the picture, the smallest counts.
    if (last !== undefined && last.width === width && last.height === height) rungs.pop();
    const fast = rateOf(source.fps) > FAST_FPS;
    const fps =
      fast && Math.min(width, height) <= HALVED_SIDE_MAX && rungs.length > 0 ? halved(source.fps) : source.fps;
    const wanted = bitrateFor(width * height, rateOf(fps), "h264");
    const bitrate = Math.max(BITRATE_MIN, Math.min(wanted, source.bitrate ?? wanted));
    const above = rungs.at(-1);
    if (above !== undefined && bitrate > above.bitrate * STEP_MAX) continue;
    rungs.push({ width, height, fps, bitrate, codec: "h264", preset: undefined });
  }
  return rungs.slice(0, DEFAULT_RUNGS_MAX);
}

/** Null: larger or faster than the source, which a rendition never is. */
export function rungOf(variant: StreamVariant, source: LadderSource): Rung | string {
  const upright = source.height > source.width;
  const shape = source.width / source.height;
  const side = variant.height;
  const plain = upright
    ? { width: side, height: variant.width ?? side / shape }
    : { width: variant.width ?? side * shape, height: side };
  const width = even(plain.width);
  const height = even(plain.height);
  if (width > evenDown(source.width) + 1 || height > evenDown(source.height) + 1) {
    return `would be ${width}x${height}, and the picture is ${source.width}x${source.height}; a rendition is never larger than its source`;
  }
  const fps = variant.fps ?? source.fps;
  if (rateOf(fps) > rateOf(source.fps) * 1.01) {
    return `would have ${rateOf(fps).toFixed(3)} frames per second, and the picture has ${rateOf(source.fps).toFixed(3)}`;
  }
  const codec = variant.codec ?? "h264";
  const natural = bitrateFor(width * height, rateOf(fps), codec);
  const bitrate = variant.bitrate ?? Math.min(natural, source.bitrate ?? natural);
  return { width, height, fps, codec, bitrate, preset: variant.preset };
}

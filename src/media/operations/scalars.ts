/**
 * The values that operations are made of: what a client may write, and the one number it becomes.
 */
import { z } from "zod";

const TIME_SECONDS_MAX = 1_000 * 3_600;
const SIZE_PIXELS_MAX = 65_535;
const SIZE_FORM = /^(\d+(?:\.\d+)?)([kKmMgG]?)$/;
const UNITS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };

/** Seconds of `12.5`, `"12.5"`, `"1:02.5"`, `"01:02:03.500"`; null when it is none of them. */
export function toSeconds(text: string): number | null {
  const match = /^(?:(?:(\d{1,4}):)?([0-5]?\d):)?(\d+(?:\.\d+)?)$/.exec(text);
  if (match === null) return null;
  const [, hours, minutes, seconds] = match;
  const last = Number(seconds);
  if (minutes !== undefined && last >= 60) return null;
  return Number(hours ?? 0) * 3_600 + Number(minutes ?? 0) * 60 + last;
}

const TIME_FORM = "must be seconds or HH:MM:SS.mmm";

/** A time or a length of time. Becomes seconds. */
export const seconds = z
  .union([z.number(TIME_FORM), z.string(TIME_FORM)], TIME_FORM)
  .refine((value) => typeof value === "number" || toSeconds(value) !== null, TIME_FORM)
  .transform((value) => (typeof value === "number" ? value : (toSeconds(value) ?? 0)))
  .refine((value) => value >= 0 && value <= TIME_SECONDS_MAX, "must be between 0 and 1000 hours");

export const positiveSeconds = seconds.refine((value) => value >= 0.001, "must be at least 0.001 seconds");

const toBits = (text: string): number | null => {
  const match = SIZE_FORM.exec(text);
  return match === null ? null : Math.round(Number(match[1]) * (UNITS[(match[2] ?? "").toLowerCase()] ?? 1));
};

const BITRATE_FORM = 'must be bits per second, such as 2500000, "2500k" or "2.5M"';

/** Bits per second (or bits, of a buffer). */
export const bitrate = z
  .union([z.number(BITRATE_FORM), z.string(BITRATE_FORM)], BITRATE_FORM)
  .refine((value) => typeof value === "number" || toBits(value) !== null, BITRATE_FORM)
  .transform((value) => (typeof value === "number" ? Math.round(value) : (toBits(value) ?? 0)))
  .refine((value) => value >= 1_000 && value <= 10e9, "must be between 1k and 10G bits per second");

const PIXELS_FORM = `must be a whole number of pixels from 1 to ${SIZE_PIXELS_MAX}`;

export const pixels = z.int(PIXELS_FORM).min(1, PIXELS_FORM).max(SIZE_PIXELS_MAX, PIXELS_FORM);

export const AUTO = "auto";
const DIMENSION_FORM = `${PIXELS_FORM}, or "auto"`;

/** One side of a picture; `auto` (also −1 and −2, as FFmpeg writes it) keeps the aspect ratio. */
export const dimension = z
  .union([z.int(), z.literal(AUTO)], DIMENSION_FORM)
  .transform((value): number | typeof AUTO => (value === -1 || value === -2 ? AUTO : value))
  .refine((value) => value === AUTO || (value >= 1 && value <= SIZE_PIXELS_MAX), DIMENSION_FORM);

export type Length = { readonly pixels: number } | { readonly percent: number };

const LENGTH_FORM = 'must be pixels or a percentage such as "50%"';
const PERCENT = /^\d{1,5}(?:\.\d+)?%$/;

/** Pixels, or percent of the picture's side at this point of the chain. */
export const length = z
  .union([z.int(LENGTH_FORM), z.string(LENGTH_FORM).regex(PERCENT, LENGTH_FORM)], LENGTH_FORM)
  .transform((value): Length => (typeof value === "number" ? { pixels: value } : { percent: Number.parseFloat(value) }))
  .refine((value) => !("pixels" in value) || (value.pixels >= 0 && value.pixels <= SIZE_PIXELS_MAX), LENGTH_FORM)
  .refine((value) => !("percent" in value) || value.percent <= 1_000, "must be at most 1000%");

export interface Fraction {
  readonly num: number;
  readonly den: number;
}

const FPS_FORM = 'must be frames per second from 0.1 to 240, such as 25, 29.97 or "30000/1001"';
const FPS_TEXT = /^(\d{1,6}(?:\.\d{1,6})?)(?:\/(\d{1,5}))?$/;
/** What people mean when they round NTSC's rates. */
const NTSC: Readonly<Record<string, Fraction>> = {
  "23.976": { num: 24_000, den: 1_001 },
  "23.98": { num: 24_000, den: 1_001 },
  "29.97": { num: 30_000, den: 1_001 },
  "47.952": { num: 48_000, den: 1_001 },
  "59.94": { num: 60_000, den: 1_001 },
  "119.88": { num: 120_000, den: 1_001 },
};

export function toFraction(value: number | string): Fraction | null {
  const ntsc = NTSC[String(value)];
  if (ntsc !== undefined) return ntsc;
  const match = FPS_TEXT.exec(String(value));
  if (match === null) return null;
  const den = Number(match[2] ?? 1);
  const num = Number(match[1]);
  if (den === 0) return null;
  return Number.isInteger(num) ? { num, den } : { num: Math.round(num * 1_000), den: den * 1_000 };
}

const isFrameRate = (value: number | string): boolean => {
  const fraction = toFraction(value);
  return fraction !== null && fraction.num / fraction.den >= 0.1 && fraction.num / fraction.den <= 240;
};

export const frameRate = z
  .union([z.number(FPS_FORM), z.string(FPS_FORM)], FPS_FORM)
  .refine(isFrameRate, FPS_FORM)
  .transform((value): Fraction => toFraction(value) ?? { num: 25, den: 1 });

const COLOR_FORM = "must be black, white, gray, red, green, blue, yellow, transparent or #RRGGBB";

/** Becomes what FFmpeg reads: a name or `0xRRGGBB`. */
export const color = z
  .string(COLOR_FORM)
  .regex(/^(black|white|gray|red|green|blue|yellow|transparent|#[0-9a-fA-F]{6})$/, COLOR_FORM)
  .transform((value) => {
    if (value === "transparent") return "black@0";
    return value.startsWith("#") ? `0x${value.slice(1).toLowerCase()}` : value;
  });

const CAPTION_COLORS: Readonly<Record<string, string>> = {
  ...{ black: "000000", white: "ffffff", gray: "808080", red: "ff0000", green: "008000", blue: "0000ff" },
  yellow: "ffff00",
};
const CAPTION_COLOR_FORM = "must be black, white, gray, red, green, blue, yellow or #RRGGBB";

/** Becomes `rrggbb`. */
export const captionColor = z
  .string(CAPTION_COLOR_FORM)
  .regex(/^(black|white|gray|red|green|blue|yellow|#[0-9a-fA-F]{6})$/, CAPTION_COLOR_FORM)
  .transform((value) => CAPTION_COLORS[value] ?? value.slice(1).toLowerCase());

const NAME_FORM = "must be a file name without a folder, such as cover.jpg";

/** The name of a further output, beside `output_path`. */
export const fileName = z
  .string(NAME_FORM)
  .min(1, NAME_FORM)
  .max(200, "must have at most 200 characters")
  .refine((name) => !/[/\\\p{C}\p{Zl}\p{Zp}]/u.test(name) && !name.startsWith("."), NAME_FORM);

export const POSITIONS = [
  "top-left",
  "top",
  "top-right",
  "left",
  "center",
  "right",
  "bottom-left",
  "bottom",
  "bottom-right",
] as const;
export type Position = (typeof POSITIONS)[number];

const COORDINATE_FORM = 'must be pixels or a percentage such as "50%"';
const COORDINATE_PERCENT = /^-?\d{1,3}(?:\.\d+)?%$/;

/** Where the edge of something laid over the picture is; below zero it is counted from the far edge. */
export const coordinate = z
  .union(
    [z.int(COORDINATE_FORM), z.string(COORDINATE_FORM).regex(COORDINATE_PERCENT, COORDINATE_FORM)],
    COORDINATE_FORM,
  )
  .transform((value): Length => (typeof value === "number" ? { pixels: value } : { percent: Number.parseFloat(value) }))
  .refine((value) => !("pixels" in value) || Math.abs(value.pixels) <= SIZE_PIXELS_MAX, COORDINATE_FORM)
  .refine((value) => !("percent" in value) || Math.abs(value.percent) <= 100, "must be between -100% and 100%");

interface Placed {
  readonly position?: unknown;
  readonly x?: unknown;
  readonly y?: unknown;
  readonly start: number;
  readonly end?: number | undefined;
}

/** Of what is laid over the film: one place, and an end after its beginning. */
export const inItsPlace = <Schema extends z.ZodType<Placed>>(schema: Schema): Schema =>
  schema
    .refine((op) => op.position === undefined || (op.x === undefined && op.y === undefined), {
      message: "give position or x and y, not both",
      path: ["position"],
    })
    .refine((op) => (op.x === undefined) === (op.y === undefined), { message: "needs x and y together", path: ["x"] })
    .refine((op) => op.end === undefined || op.end > op.start, { message: "must be later than start", path: ["end"] });

const URI_LENGTH_MAX = 4_096;

/** The URI of a further input. */
export const reference = z
  .string("must be a URI")
  .min(1, "must not be empty")
  .max(URI_LENGTH_MAX, `must have at most ${URI_LENGTH_MAX} characters`);

/** `raw`: options of FFmpeg from a closed list, each a name and a value of its own type; never text that is split. */
import { z } from "zod";
import type { PictureCodec } from "../encoders/video-encoder.ts";

interface RawNumber {
  readonly kind: "integer" | "number";
  readonly min: number;
  readonly max: number;
}
interface RawWord {
  readonly kind: "word";
  readonly words: readonly string[];
}

export interface RawOption {
  readonly value: RawNumber | RawWord;
  /** FFmpeg's argument; of the picture's encoder, of the first sound's, or of the muxer. */
  readonly argument: string;
  readonly of: "picture" | "sound" | "container";
  /** Codecs or muxers that read it; absent: all. */
  readonly only?: readonly (PictureCodec | string)[];
}

const integer = (min: number, max: number): RawNumber => ({ kind: "integer", min, max });
const number = (min: number, max: number): RawNumber => ({ kind: "number", min, max });
const word = (...words: readonly string[]): RawWord => ({ kind: "word", words });

const X26X = ["h264", "h265"] as const;
const MP4 = ["mp4", "mov", "m4a"] as const;

export const RAW_OPTIONS = {
  refs: { value: integer(0, 16), argument: "-refs:v:0", of: "picture", only: ["h264"] },
  keyint_min: { value: integer(1, 10_000), argument: "-keyint_min:v:0", of: "picture", only: X26X },
  sc_threshold: { value: integer(0, 1_000), argument: "-sc_threshold:v:0", of: "picture", only: ["h264"] },
  qmin: { value: integer(0, 69), argument: "-qmin:v:0", of: "picture", only: ["h264", "mpeg2", "vp8", "vp9"] },
  qmax: { value: integer(0, 69), argument: "-qmax:v:0", of: "picture", only: ["h264", "mpeg2", "vp8", "vp9"] },
  aq_mode: { value: integer(0, 3), argument: "-aq-mode:v:0", of: "picture", only: ["h264"] },
  aq_strength: { value: number(0, 3), argument: "-aq-strength:v:0", of: "picture", only: ["h264"] },
  rc_lookahead: { value: integer(0, 250), argument: "-rc-lookahead:v:0", of: "picture", only: ["h264"] },
  trellis: { value: integer(0, 2), argument: "-trellis:v:0", of: "picture", only: ["h264", "mpeg2"] },
  me_range: { value: integer(4, 256), argument: "-me_range:v:0", of: "picture", only: ["h264"] },
  color_primaries: {
    value: word("bt709", "bt470bg", "smpte170m", "bt2020"),
    ...{ argument: "-color_primaries:v:0", of: "picture" },
  },
  color_trc: {
    value: word("bt709", "smpte170m", "iec61966-2-1", "smpte2084", "arib-std-b67"),
    ...{ argument: "-color_trc:v:0", of: "picture" },
  },
  colorspace: { value: word("bt709", "bt470bg", "smpte170m", "bt2020nc"), argument: "-colorspace:v:0", of: "picture" },
  cutoff: { value: integer(1_000, 24_000), argument: "-cutoff:a:0", of: "sound", only: ["aac", "mp3", "opus"] },
  compression_level: { value: integer(0, 12), argument: "-compression_level:a:0", of: "sound", only: ["flac"] },
  video_track_timescale: {
    value: integer(1_000, 1_000_000),
    argument: "-video_track_timescale",
    of: "container",
    only: MP4,
  },
} as const satisfies Readonly<Record<string, RawOption>>;

export type RawName = keyof typeof RAW_OPTIONS;
const NAMES = Object.keys(RAW_OPTIONS) as [RawName, ...RawName[]];

export const rawOption = (name: RawName): RawOption => RAW_OPTIONS[name];

function problemOf({ value: wanted }: RawOption, value: number | string): string | null {
  if (wanted.kind === "word")
    return typeof value === "string" && wanted.words.includes(value)
      ? null
      : `must be one of ${wanted.words.join(", ")}`;
  const { kind, min, max } = wanted;
  const fits =
    typeof value === "number" && value >= min && value <= max && (kind === "number" || Number.isInteger(value));
  return fits ? null : `must be ${kind === "integer" ? "a whole number" : "a number"} from ${min} to ${max}`;
}

const pair = z
  .strictObject({
    name: z.enum(NAMES, `must be one of ${NAMES.join(", ")}`),
    value: z.union([z.number(), z.string().max(64)], "must be a number or a word"),
  })
  .superRefine(({ name, value }, context) => {
    const message = problemOf(rawOption(name), value);
    if (message !== null) context.addIssue({ code: "custom", path: ["value"], message });
  });

export const rawSchema = z
  .strictObject({
    type: z.literal("raw"),
    options: z.array(pair).min(1, "must hold at least one option").max(32, "must hold at most 32 options"),
  })
  .superRefine(({ options }, context) => {
    options.forEach(({ name }, index) => {
      if (options.findIndex((one) => one.name === name) < index)
        context.addIssue({ code: "custom", path: ["options", index, "name"], message: "is given twice" });
    });
  });

export type Raw = z.output<typeof rawSchema>;

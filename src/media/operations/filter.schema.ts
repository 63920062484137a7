/** `filter`: one change of the picture, or of the film's time, by name. Each name has parameters of its own. */
import { z } from "zod";
import { positiveSeconds } from "./scalars.ts";

export const FILTER_NAMES = [
  "denoise",
  "deinterlace",
  "stabilize",
  "sharpen",
  "blur",
  "brightness",
  "contrast",
  "saturation",
  "hue",
  "gamma",
  "fade_in",
  "fade_out",
  "speed",
  "reverse",
  "grayscale",
  "tonemap",
] as const;

export type FilterName = (typeof FILTER_NAMES)[number];

const FADE_COLORS = ["black", "white"] as const;
export const TONEMAP_ALGORITHMS = ["hable", "mobius", "reinhard", "clip", "linear"] as const;

interface Range {
  readonly min: number;
  readonly max: number;
  /** Absent: it has to be given. */
  readonly default?: number;
}

/** The numbers that each name takes. */
const NUMBERS: Readonly<Partial<Record<FilterName, Readonly<Record<string, Range>>>>> = {
  denoise: { strength: { min: 0.1, max: 20, default: 4 } },
  stabilize: { smoothing: { min: 1, max: 100, default: 10 }, shakiness: { min: 1, max: 10, default: 5 } },
  sharpen: { strength: { min: 0.1, max: 5, default: 1 } },
  blur: { radius: { min: 0.1, max: 100, default: 2 } },
  brightness: { value: { min: -1, max: 1 } },
  contrast: { value: { min: 0, max: 3 } },
  saturation: { value: { min: 0, max: 3 } },
  gamma: { value: { min: 0.1, max: 10 } },
  hue: { degrees: { min: -360, max: 360 } },
  speed: { factor: { min: 0.1, max: 10 } },
};

/** Everything else that a name takes. */
const OTHERS: Readonly<Partial<Record<FilterName, readonly string[]>>> = {
  deinterlace: ["mode", "all"],
  fade_in: ["duration", "color", "audio"],
  fade_out: ["duration", "color", "audio"],
  tonemap: ["algorithm"],
};

const WHOLE_NUMBERS: ReadonlySet<string> = new Set(["smoothing", "shakiness"]);
const number = z.number("must be a number").optional();

export const filterSchema = z
  .strictObject({
    type: z.literal("filter"),
    name: z.enum(FILTER_NAMES, `must be one of ${FILTER_NAMES.join(", ")}`),
    strength: number.describe("denoise 0.1–20 (4), sharpen 0.1–5 (1)."),
    radius: number.describe("blur: sigma in pixels, 0.1–100 (2)."),
    value: number.describe("brightness −1–1, contrast 0–3, saturation 0–3, gamma 0.1–10; 0 or 1 change nothing."),
    degrees: number.describe("hue: −360–360."),
    factor: number.describe("speed: 0.1–10; 2 is twice as fast."),
    smoothing: number.describe("stabilize: frames on either side that a movement is smoothed over, 1–100 (10)."),
    shakiness: number.describe("stabilize: how shaky the film is, 1–10 (5)."),
    duration: positiveSeconds.optional().describe("fade_in, fade_out: seconds (1)."),
    color: z.enum(FADE_COLORS, "must be black or white").optional().describe("fade_in, fade_out (black)."),
    audio: z.boolean("must be true or false").optional().describe("fade_in, fade_out: the sound too (true)."),
    mode: z
      .enum(["frame", "field"], "must be frame or field")
      .optional()
      .describe("deinterlace: a picture per frame (default), or per field, at twice the rate."),
    all: z
      .boolean("must be true or false")
      .optional()
      .describe("deinterlace: also pictures that are not marked as interlaced (false)."),
    algorithm: z
      .enum(TONEMAP_ALGORITHMS, `must be one of ${TONEMAP_ALGORITHMS.join(", ")}`)
      .optional()
      .describe("tonemap: the curve (hable)."),
  })
  .superRefine((filter, context) => {
    const numbers = NUMBERS[filter.name] ?? {};
    const known = [...Object.keys(numbers), ...(OTHERS[filter.name] ?? [])];
    const report = (path: string, message: string) => context.addIssue({ code: "custom", path: [path], message });
    for (const [name, value] of Object.entries(filter)) {
      if (name === "type" || name === "name" || value === undefined || known.includes(name)) continue;
      const takes = known.length === 0 ? "takes no parameters" : `takes ${known.join(" and ")}`;
      report(name, `is not a parameter of ${filter.name}, which ${takes}`);
    }
    for (const [name, { min, max, default: preset }] of Object.entries(numbers)) {
      const value = (filter as Readonly<Record<string, unknown>>)[name];
      if (value === undefined) {
        if (preset === undefined) report(name, `is needed for ${filter.name}: a number from ${min} to ${max}`);
      } else if (typeof value !== "number" || value < min || value > max)
        report(name, `must be between ${min} and ${max} for ${filter.name}`);
      else if (WHOLE_NUMBERS.has(name) && !Number.isInteger(value)) report(name, "must be a whole number");
    }
  });

export type FilterOperation = z.output<typeof filterSchema>;

/** A number of the filter, with its default filled in. */
export function numberOf(filter: FilterOperation, name: keyof FilterOperation & string): number {
  const value = filter[name];
  return typeof value === "number" ? value : (NUMBERS[filter.name]?.[name]?.default ?? 0);
}

export const changesTime = ({ name }: FilterOperation): boolean => name === "speed" || name === "reverse";

/** Whether the sound is changed too. */
export const changesSoundToo = (filter: FilterOperation): boolean =>
  changesTime(filter) || ((filter.name === "fade_in" || filter.name === "fade_out") && filter.audio !== false);

/** FFmpeg's filters that a name cannot do without; vidstab's second comes with its first. */
export const FILTERS_OF: Readonly<Record<FilterName, readonly string[]>> = {
  denoise: ["hqdn3d"],
  deinterlace: ["bwdif"],
  stabilize: ["vidstabdetect"],
  sharpen: ["unsharp"],
  blur: ["gblur"],
  brightness: ["eq"],
  contrast: ["eq"],
  saturation: ["eq"],
  gamma: ["eq"],
  hue: ["hue"],
  fade_in: ["fade", "afade"],
  fade_out: ["fade", "afade"],
  speed: ["setpts", "fps", "atempo"],
  reverse: ["reverse", "areverse"],
  grayscale: ["hue"],
  tonemap: ["zscale", "tonemap"],
};

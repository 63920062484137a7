/** Operations on the picture: scale, crop, pad, rotate, flip. Each sees the picture as the one before left it, upright. */
import { z } from "zod";
import { color, dimension, length } from "./scalars.ts";

const SCALE_MODES = ["fit", "fill", "stretch", "pad"] as const;
export const SCALE_ALGORITHMS = ["bilinear", "bicubic", "lanczos", "spline", "area", "neighbor"] as const;
const DIRECTIONS = ["horizontal", "vertical", "both"] as const;
const ANGLES = [0, 90, 180, 270, -90, -180, -270] as const;

export const scaleSchema = z
  .strictObject({
    type: z.literal("scale"),
    width: dimension.optional(),
    height: dimension.optional(),
    mode: z
      .enum(SCALE_MODES, "must be fit, fill, stretch or pad")
      .default("fit")
      .describe("fit: inside the box; fill: covers it, cut at the edges; stretch: exactly it; pad: fit, with bars."),
    algorithm: z.enum(SCALE_ALGORITHMS, `must be one of ${SCALE_ALGORITHMS.join(", ")}`).default("bicubic"),
    color: color.default("black").describe("Of the bars that mode pad adds."),
    enlarge: z
      .boolean("must be true or false")
      .default(true)
      .describe("False, for mode fit: a smaller picture stays as it is."),
  })
  .refine((scale) => isNumber(scale.width) || isNumber(scale.height), {
    message: "needs a width or a height in pixels",
    path: ["width"],
  })
  .refine((scale) => scale.mode === "fit" || (isNumber(scale.width) && isNumber(scale.height)), {
    message: "only fit takes one side alone; give width and height",
    path: ["mode"],
  })
  .refine((scale) => scale.enlarge || scale.mode === "fit", {
    message: "is only for mode fit",
    path: ["enlarge"],
  });

const isNumber = (value: unknown): boolean => typeof value === "number";

export const cropSchema = z.strictObject({
  type: z.literal("crop"),
  width: length.optional().describe("Pixels or percent; default: from x to the edge."),
  height: length.optional(),
  x: length.optional().describe("Left edge; default: the crop is centred."),
  y: length.optional(),
});

export const padSchema = z
  .strictObject({
    type: z.literal("pad"),
    width: length.optional().describe("Of the whole, pixels or percent of what it is."),
    height: length.optional(),
    x: length.optional().describe("Of the picture in the whole; default: centred."),
    y: length.optional(),
    color: color.default("black"),
  })
  .refine((pad) => pad.width !== undefined || pad.height !== undefined, {
    message: "needs a width or a height",
    path: ["width"],
  });

export const rotateSchema = z.strictObject({
  type: z.literal("rotate"),
  angle: z
    .literal(ANGLES, "must be 0, 90, 180 or 270 degrees, clockwise")
    .transform((angle): 0 | 90 | 180 | 270 => ((angle + 360) % 360) as 0 | 90 | 180 | 270)
    .describe("Clockwise, from what a player shows; 0 only applies and clears the display matrix."),
});

export const flipSchema = z.strictObject({
  type: z.literal("flip"),
  direction: z.enum(DIRECTIONS, "must be horizontal, vertical or both").default("horizontal"),
});

export type Scale = z.output<typeof scaleSchema>;
export type Crop = z.output<typeof cropSchema>;
export type Pad = z.output<typeof padSchema>;
export type Rotate = z.output<typeof rotateSchema>;
export type Flip = z.output<typeof flipSchema>;

/** `watermark`: a picture laid over the film as the operations before it left it. */
import { z } from "zod";
import { coordinate, inItsPlace, POSITIONS, positiveSeconds, reference, seconds } from "./scalars.ts";

export const watermarkSchema = inItsPlace(
  z.strictObject({
    type: z.literal("watermark"),
    image: reference.describe("URI of the picture; a film or an animation is played from its beginning."),
    position: z
      .enum(POSITIONS, `must be one of ${POSITIONS.join(", ")}`)
      .optional()
      .describe("Default bottom-right, a fiftieth of the picture's width from its edges."),
    x: coordinate
      .optional()
      .describe("Left edge, instead of position: pixels or percent; below 0 from the right edge."),
    y: coordinate.optional(),
    opacity: z.number("must be a number").min(0, "must be at least 0").max(1, "must be at most 1").default(0.8),
    scale: z
      .number("must be a number")
      .min(0.005, "must be at least 0.005")
      .max(1, "must be at most 1")
      .default(0.1)
      .describe("Its width, of the video's width."),
    start: seconds.default(0),
    end: positiveSeconds.optional(),
  }),
);

export type Watermark = z.output<typeof watermarkSchema>;

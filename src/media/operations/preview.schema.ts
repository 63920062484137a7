/** `preview`: a short, small loop of the film as the operations before it left it, a file of its own. */
import { z } from "zod";
import { dimension, fileName, frameRate, positiveSeconds, seconds } from "./scalars.ts";

export const PREVIEW_FORMATS = ["gif", "webp", "mp4"] as const;

export const previewSchema = z.strictObject({
  type: z.literal("preview"),
  format: z.enum(PREVIEW_FORMATS, "must be gif, webp or mp4").optional().describe("Default: from output, or gif."),
  start: seconds.default(0),
  duration: positiveSeconds.refine((value) => value <= 60, "must be at most 60 seconds").default(3),
  width: dimension.default(320),
  fps: frameRate.optional().describe("Default 10."),
  output: fileName.optional(),
});

export type Preview = z.output<typeof previewSchema>;

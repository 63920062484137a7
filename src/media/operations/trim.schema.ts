/** `trim`: a part of what the operations before it left; times count from its beginning. */
import { z } from "zod";
import { positiveSeconds, seconds } from "./scalars.ts";

export const trimSchema = z
  .strictObject({
    type: z.literal("trim"),
    start: seconds.default(0),
    duration: positiveSeconds.optional(),
    end: positiveSeconds.optional(),
    mode: z
      .enum(["exact", "fast"], "must be exact or fast")
      .default("exact")
      .describe("exact: not a frame off; fast: copies the streams from the keyframe before."),
  })
  .refine((trim) => trim.duration === undefined || trim.end === undefined, {
    message: "give duration or end, not both",
    path: ["end"],
  })
  .refine((trim) => trim.end === undefined || trim.end > trim.start, {
    message: "must be later than start",
    path: ["end"],
  })
  .refine((trim) => trim.start > 0 || trim.duration !== undefined || trim.end !== undefined, {
    message: "needs a start, a duration or an end",
    path: ["start"],
  });

export type Trim = z.output<typeof trimSchema>;

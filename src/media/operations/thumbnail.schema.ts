/** `thumbnail`: pictures of the film as the operations before it left it, each a file of its own. */
import { z } from "zod";
import { dimension, fileName, notBuilt, positiveSeconds, seconds } from "./scalars.ts";

export const THUMBNAIL_FORMATS = ["jpg", "jpeg", "png", "webp"] as const;

export const thumbnailSchema = z
  .strictObject({
    type: z.literal("thumbnail"),
    mode: z
      .enum(["single", "multiple", "best", "sprite"], "must be single, multiple or best")
      .default("single")
      .describe("single: at `time`; multiple: `count` of them, or one each `interval`; best: the most telling one."),
    time: seconds.optional().describe("Default: a tenth of the film."),
    count: z.int("must be a whole number").min(1, "must be at least 1").max(1_000, "must be at most 1000").optional(),
    interval: positiveSeconds.optional(),
    width: dimension.optional(),
    height: dimension.optional(),
    quality: z.int("must be a whole number").min(1, "must be at least 1").max(100, "must be at most 100").optional(),
    format: z
      .enum(THUMBNAIL_FORMATS, "must be jpg, png or webp")
      .transform((format): "jpg" | "png" | "webp" => (format === "jpeg" ? "jpg" : format))
      .optional(),
    output: fileName.optional(),
    cols: notBuilt,
    rows: notBuilt,
  })
  .refine((thumbnail) => thumbnail.time === undefined || thumbnail.mode === "single", {
    message: "is only for mode single",
    path: ["time"],
  })
  .refine((t) => t.mode === "multiple" || (t.count === undefined && t.interval === undefined), {
    message: "count and interval are only for mode multiple",
    path: ["mode"],
  })
  .refine((thumbnail) => thumbnail.count === undefined || thumbnail.interval === undefined, {
    message: "give count or interval, not both",
    path: ["interval"],
  });

export type Thumbnail = Omit<z.output<typeof thumbnailSchema>, "cols" | "rows">;

/** `thumbnail`: pictures of the film as the operations before it left it, each a file of its own. */
import { z } from "zod";
import { dimension, fileName, positiveSeconds, seconds } from "./scalars.ts";

export const THUMBNAIL_FORMATS = ["jpg", "jpeg", "png", "webp"] as const;

const tiles = z.int("must be a whole number").min(1, "must be at least 1").max(50, "must be at most 50");

export const thumbnailSchema = z
  .strictObject({
    type: z.literal("thumbnail"),
    mode: z
      .enum(["single", "multiple", "best", "sprite"], "must be single, multiple, best or sprite")
      .default("single")
      .describe(
        "single: at `time`; multiple: `count` of them, or one each `interval`; best: the most telling one; sprite: `cols` times `rows` of them in one picture, with a WebVTT map beside it.",
      ),
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
    cols: tiles.optional().describe("Of a sprite; default 5."),
    rows: tiles.optional().describe("Of a sprite; default: as count or interval need, or 5."),
  })
  .refine((thumbnail) => thumbnail.time === undefined || thumbnail.mode === "single", {
    message: "is only for mode single",
    path: ["time"],
  })
  .refine((t) => t.mode === "sprite" || (t.cols === undefined && t.rows === undefined), {
    message: "cols and rows are only for mode sprite",
    path: ["mode"],
  })
  .refine((t) => t.count === undefined || t.rows === undefined || t.count <= t.rows * (t.cols ?? 5), {
    message: "are more pictures than cols and rows have room for",
    path: ["count"],
  })
  .refine((t) => t.mode === "multiple" || t.mode === "sprite" || (t.count === undefined && t.interval === undefined), {
    message: "count and interval are only for modes multiple and sprite",
    path: ["mode"],
  })
  .refine((thumbnail) => thumbnail.count === undefined || thumbnail.interval === undefined, {
    message: "give count or interval, not both",
    path: ["interval"],
  });

export type Thumbnail = z.output<typeof thumbnailSchema>;

/** `subtitle`: captions from a file, drawn into the picture or put beside it as a track. */
import { z } from "zod";
import { languageCode } from "./languages.ts";
import { captionColor, POSITIONS, reference } from "./scalars.ts";

const styleSchema = z.strictObject(
  {
    font_size: z
      .number("must be a number")
      .min(1, "must be at least 1")
      .max(50, "must be at most 50")
      .optional()
      .describe("Percent of the picture's height; default 5.5."),
    color: captionColor.optional().describe("Default white."),
    outline_color: captionColor.optional().describe("Default black."),
    box_color: captionColor.optional().describe("A box behind the text instead of an outline around it."),
    bold: z.boolean("must be true or false").optional(),
    italic: z.boolean("must be true or false").optional(),
    position: z
      .enum(POSITIONS, `must be one of ${POSITIONS.join(", ")}`)
      .optional()
      .describe("Default bottom."),
    margin: z
      .number("must be a number")
      .min(0, "must be at least 0")
      .max(50, "must be at most 50")
      .optional()
      .describe("Percent of the picture's height; default 4."),
  },
  'must be an object such as {font_size: 6, color: "yellow"}',
);

export const subtitleSchema = z
  .strictObject({
    type: z.literal("subtitle"),
    path: reference.describe("URI of an srt, vtt or ass file, in any usual character set."),
    mode: z
      .enum(["burn", "embed"], "must be burn or embed")
      .default("burn")
      .describe("burn: drawn into the picture; embed: a track that players can switch on."),
    language: z
      .string("must be text")
      .transform((value) => value.trim().toLowerCase())
      .refine((value) => languageCode(value) !== null, "must be a language code of ISO 639, such as en or eng")
      .transform((value) => languageCode(value) ?? "und")
      .optional()
      .describe("Of the track."),
    style: styleSchema.optional().describe("For burn; an ass file keeps its own where this says nothing."),
  })
  .refine((op) => op.style === undefined || op.mode === "burn", { message: "is only for mode burn", path: ["style"] })
  .refine((op) => op.language === undefined || op.mode === "embed", {
    message: "is only for mode embed",
    path: ["language"],
  });

export type Subtitle = z.output<typeof subtitleSchema>;
export type SubtitleStyle = z.output<typeof styleSchema>;

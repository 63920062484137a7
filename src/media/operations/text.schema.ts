/** `text`: lines drawn over the film as the operations before it left it. */
import { z } from "zod";
import { color, coordinate, inItsPlace, POSITIONS, positiveSeconds, seconds } from "./scalars.ts";

const TEXT_LENGTH_MAX = 1_000;
/** Of the font that every deployment has; what it has no shapes for would come out as boxes. */
const WITHOUT_SHAPE =
  /[^\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Armenian}\p{Script=Georgian}\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Common}\p{Script=Inherited}]|[\u{1F000}-\u{10FFFF}]|[\u3000-\u33FF\uE000-\uF8FF\uFE30-\uFE4F\uFF00-\uFFEF]/u;
/** Control and format characters but for a new line; directions come from the letters. */
const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

const text = z
  .string("must be text")
  .transform((value) => value.replaceAll("\r\n", "\n").normalize("NFC"))
  .refine((value) => value.trim() !== "", "must not be empty")
  .refine((value) => value.length <= TEXT_LENGTH_MAX, `must have at most ${TEXT_LENGTH_MAX} characters`)
  .refine(
    (value) => value.isWellFormed() && !CONTROL.test(value.replaceAll("\n", "")),
    "must be text without control characters",
  )
  .refine((value) => !WITHOUT_SHAPE.test(value), {
    error: (issue) =>
      `has the character "${WITHOUT_SHAPE.exec(String(issue.input))?.[0] ?? ""}", which the font for drawn text has no shape for`,
  });

export const textSchema = inItsPlace(
  z.strictObject({
    type: z.literal("text"),
    text: text.describe("Drawn as it is: nothing in it is a command. New lines are kept."),
    position: z
      .enum(POSITIONS, `must be one of ${POSITIONS.join(", ")}`)
      .optional()
      .describe("Default bottom."),
    x: coordinate
      .optional()
      .describe("Left edge, instead of position: pixels or percent; below 0 from the right edge."),
    y: coordinate.optional(),
    font_size: z
      .int("must be a whole number of pixels")
      .min(4, "must be at least 4")
      .max(1_000, "must be at most 1000")
      .optional()
      .describe("Default: a twentieth of the picture's height."),
    color: color.default("white"),
    box: z
      .union([z.boolean(), color], "must be true, false or a colour")
      .default(false)
      .describe("A box behind the text: true for half transparent black, or its colour."),
    start: seconds.default(0),
    end: positiveSeconds.optional(),
  }),
);

export type Text = z.output<typeof textSchema>;

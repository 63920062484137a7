/** `waveform`: the sound as a picture, or as numbers to draw one from; a file of its own. */
import { z } from "zod";
import { color, fileName } from "./scalars.ts";

export const WAVEFORM_FORMATS = ["png", "json"] as const;

const SIDE_MAX = 8_192;
const side = (what: string) =>
  z
    .int(`must be a whole number of ${what}`)
    .min(2, "must be at least 2")
    .max(SIDE_MAX, `must be at most ${SIDE_MAX}`)
    .optional();

export const waveformSchema = z.strictObject({
  type: z.literal("waveform"),
  width: side("pixels").describe("Pixels, or pairs of numbers in json; default 1200."),
  height: side("pixels").describe("Default 240."),
  color: color.optional().describe("Of the wave; the rest is transparent. Default: white."),
  format: z.enum(WAVEFORM_FORMATS, "must be png or json").optional().describe("Default: from output, or png."),
  output: fileName.optional(),
});

export type Waveform = z.output<typeof waveformSchema>;

/** `options.verify`: what an output has to keep to be published. `options.target`: the score its encode is to reach. */
import { z } from "zod";
import { DEFAULT_VMAF_MODEL, VMAF_MODELS } from "../measure/metrics.ts";

const score = z.number().min(0, "must be between 0 and 100").max(100, "must be between 0 and 100");
const model = z.enum(VMAF_MODELS, `must be one of ${VMAF_MODELS.join(", ")}`).default(DEFAULT_VMAF_MODEL);
const longest = (what: string) =>
  z
    .number()
    .min(0, "must not be negative")
    .max(86_400, "must be at most 86400 seconds")
    .optional()
    .describe(`Seconds that the longest ${what} part may last.`);
const level = (least: number, most: number, unit: string) =>
  z.number().min(least, `must be at least ${least} ${unit}`).max(most, `must be at most ${most} ${unit}`).optional();

export const verifySchema = z
  .strictObject({
    vmaf_min: score
      .optional()
      .describe("The least VMAF of the output against what its encoder was given: the input after all operations."),
    vmaf_model: model,
    duration_drift_max: z
      .number()
      .min(0, "must not be negative")
      .max(3_600, "must be at most 3600 seconds")
      .optional()
      .describe("Seconds that the output may be longer or shorter than its input after all operations."),
    black_max: longest("black"),
    freeze_max: longest("frozen"),
    silence_max: longest("silent"),
    loudness: z
      .strictObject({
        min: level(-70, 0, "LUFS").describe("LUFS, integrated (EBU R128)."),
        max: level(-70, 0, "LUFS").describe("LUFS, integrated (EBU R128)."),
        true_peak_max: level(-70, 20, "dBTP").describe("dBTP."),
      })
      .refine(({ min, max }) => min === undefined || max === undefined || min <= max, "has a min above its max")
      .refine((one) => Object.values(one).some((value) => value !== undefined), "must name min, max or true_peak_max")
      .optional(),
    full_decode: z.boolean().optional().describe("Decodes every frame, also where that takes long."),
  })
  .refine(
    ({ vmaf_model: _, ...rest }) => Object.values(rest).some((value) => value !== undefined && value !== false),
    "must name something to hold the output to",
  );

export const targetSchema = z.strictObject({
  vmaf: score.describe("The score to reach; the highest crf that does so is the cheapest encode."),
  vmaf_model: model,
  max_size_percent: z
    .number()
    .min(1, "must be at least 1")
    .max(1_000, "must be at most 1000")
    .optional()
    .describe("Of the input's picture: the job fails when the score cannot be reached below it."),
});

export type VerifyPolicy = z.output<typeof verifySchema>;
export type QualityTarget = z.output<typeof targetSchema>;

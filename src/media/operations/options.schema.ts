/** `options` of a conversion: what holds for the job as a whole. */
import { z } from "zod";
import { type QualityTarget, targetSchema, type VerifyPolicy, verifySchema } from "./quality.schema.ts";

const TAG_NAME_LENGTH_MAX = 64;
const TAG_VALUE_LENGTH_MAX = 1_024;
const TAGS_MAX = 64;

const tagName = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_-]*$/, "is no name for a tag")
  .max(TAG_NAME_LENGTH_MAX);
const tagValue = z
  .string("must be text")
  .max(TAG_VALUE_LENGTH_MAX, `must have at most ${TAG_VALUE_LENGTH_MAX} characters`)
  .refine((text) => !text.includes("\0") && text.isWellFormed(), "must be text without NUL");

export const optionsSchema = z.strictObject({
  format: z.string().min(1).max(32).optional().describe("The container, where the extension does not say it."),
  metadata: z
    .record(tagName, tagValue)
    .refine((tags) => Object.keys(tags).length <= TAGS_MAX, `must have at most ${TAGS_MAX} entries`)
    .optional()
    .describe("Tags to write into the file."),
  threads: z.int().min(1).max(256).optional(),
  priority: z.enum(["high", "normal", "low"]).optional(),
  faststart: z.boolean().optional().describe("The index in front, so that playback starts at once; default true."),
  strip_metadata: z.boolean().optional().describe("Writes neither tags nor chapters of the input."),
  overwrite: z.boolean().optional().describe("False: the job fails when the output exists."),
  preset: z
    .string("must be the name of a preset")
    .min(1)
    .max(80)
    .optional()
    .describe("A named part of a spec, such as web or web@1; what the request says itself wins."),
  verify: verifySchema.optional().describe("What the output has to keep to be published; a miss fails the job."),
  target: targetSchema.optional().describe("The score that the encode is to reach, instead of a crf."),
  reuse: z
    .boolean()
    .optional()
    .describe(
      "True: the outputs of an earlier job with the same inputs and the same spec are copied, if there is one.",
    ),
});

/** What the compiler reads of the options. */
export interface ConvertOptions {
  readonly format?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly threads?: number | undefined;
  readonly faststart?: boolean | undefined;
  readonly strip_metadata?: boolean | undefined;
  readonly overwrite?: boolean | undefined;
  readonly verify?: VerifyPolicy | undefined;
  readonly target?: QualityTarget | undefined;
  readonly reuse?: boolean | undefined;
  /** The preset that is merged in already, with its version: `web@1`. */
  readonly preset?: string | undefined;
}

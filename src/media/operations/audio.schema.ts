/** `audio`: the sound of the main output, or with `extract` a further file of the sound alone. */
import { z } from "zod";
import { fileName } from "./scalars.ts";

const VOLUME_FORM = 'must be a factor from 0 to 100 or decibels such as "-3dB"';
const DECIBELS = /^([+-]?\d{1,3}(?:\.\d+)?)\s*dB$/i;
const FACTOR = /^\d{1,3}(?:\.\d+)?$/;

const toFactor = (value: number | string): number | null => {
  if (typeof value === "number") return value;
  const decibels = DECIBELS.exec(value);
  if (decibels !== null) return 10 ** (Number(decibels[1]) / 20);
  return FACTOR.test(value) ? Number(value) : null;
};

/** Becomes a factor. */
const volume = z
  .union([z.number(VOLUME_FORM), z.string(VOLUME_FORM)], VOLUME_FORM)
  .refine((value) => {
    const factor = toFactor(value);
    return factor !== null && factor >= 0 && factor <= 100;
  }, VOLUME_FORM)
  .transform((value) => toFactor(value) ?? 1);

export const audioSchema = z
  .strictObject({
    type: z.literal("audio"),
    volume: volume.optional(),
    channels: z.int("must be a whole number").min(1, "must be at least 1").max(8, "must be at most 8").optional(),
    sample_rate: z
      .int("must be a whole number of Hz")
      .min(8_000, "must be at least 8000")
      .max(192_000, "must be at most 192000")
      .optional(),
    remove: z.boolean("must be true or false").default(false),
    extract: z.boolean("must be true or false").default(false).describe("Writes the sound to a file of its own."),
    format: z.string().max(16).optional().describe("Of the extracted file; default: from output, or mp3."),
    output: fileName.optional().describe("Name of the extracted file, beside output_path."),
    normalize: z
      .boolean("must be true or false")
      .default(false)
      .describe("EBU R128 in two passes; what was measured and reached comes back in the job's results."),
    target_lufs: z
      .number("must be a number of LUFS")
      .min(-70, "must be at least -70")
      .max(-5, "must be at most -5")
      .optional()
      .describe("Default −16."),
    true_peak: z
      .number("must be a number of dBTP")
      .min(-9, "must be at least -9")
      .max(0, "must be at most 0")
      .optional()
      .describe("Default −1.5."),
    lra: z
      .number("must be a number of LU")
      .min(1, "must be at least 1")
      .max(50, "must be at most 50")
      .optional()
      .describe("Loudness range; default 11."),
  })
  .superRefine((audio, context) => {
    for (const name of ["target_lufs", "true_peak", "lra"] as const) {
      if (audio[name] !== undefined && !audio.normalize)
        context.addIssue({ code: "custom", path: [name], message: "is only for normalize" });
    }
  })
  .refine((audio) => audio.extract || (audio.format === undefined && audio.output === undefined), {
    message: "is only for extract",
    path: ["output"],
  })
  .refine((audio) => !audio.remove || audio.extract || !changesSound(audio), {
    message: "leaves nothing that volume, normalize, channels or sample_rate could change",
    path: ["remove"],
  });

const changesSound = (audio: {
  volume?: number | undefined;
  channels?: number | undefined;
  sample_rate?: number | undefined;
  normalize: boolean;
}): boolean =>
  audio.normalize || audio.volume !== undefined || audio.channels !== undefined || audio.sample_rate !== undefined;

export type Audio = z.output<typeof audioSchema>;

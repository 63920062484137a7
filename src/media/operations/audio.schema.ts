/** `audio`: the sound of the main output, or with `extract` a further file of the sound alone. */
import { z } from "zod";
import { fileName, notBuilt } from "./scalars.ts";

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
    normalize: notBuilt,
    target_lufs: notBuilt,
    true_peak: notBuilt,
    lra: notBuilt,
  })
  .refine((audio) => audio.extract || (audio.format === undefined && audio.output === undefined), {
    message: "is only for extract",
    path: ["output"],
  })
  .refine((audio) => !audio.remove || audio.extract || !changesSound(audio), {
    message: "leaves nothing that volume, channels or sample_rate could change",
    path: ["remove"],
  });

const changesSound = (audio: {
  volume?: number | undefined;
  channels?: number | undefined;
  sample_rate?: number | undefined;
}): boolean => audio.volume !== undefined || audio.channels !== undefined || audio.sample_rate !== undefined;

export type Audio = Omit<z.output<typeof audioSchema>, "normalize" | "target_lufs" | "true_peak" | "lra">;

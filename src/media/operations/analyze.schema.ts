/** `analyze`: the only operation of a measuring job. It reads, and writes nothing but its report. */
import { z } from "zod";
import { COMPARING, DEFAULT_VMAF_MODEL, METRICS, type Metric, VMAF_MODELS } from "../measure/metrics.ts";
import { reference } from "./scalars.ts";

const oneOf = (names: readonly string[]): string => `must be one of ${names.join(", ")}`;

export const needsReference = (metrics: readonly Metric[]): boolean => metrics.some((one) => COMPARING.includes(one));

export const analyzeFields = {
  metrics: z
    .array(z.enum(METRICS, oneOf(METRICS)))
    .min(1, "must name at least one metric")
    .max(METRICS.length, "names a metric twice")
    .refine((all) => new Set(all).size === all.length, "names a metric twice")
    .default(["vmaf"])
    .describe("What to measure. vmaf, psnr, ssim and ms_ssim compare with the reference."),
  vmaf_model: z.enum(VMAF_MODELS, oneOf(VMAF_MODELS)).default(DEFAULT_VMAF_MODEL).describe("For vmaf."),
  subsample: z
    .int("must be a whole number of frames")
    .min(1, "must be at least 1")
    .max(1_000, "must be at most 1000")
    .default(1)
    .describe("VMAF and MS-SSIM of every n-th frame."),
};

export const analyzeSchema = z
  .strictObject({ type: z.literal("analyze"), reference: reference.optional(), ...analyzeFields })
  .refine((op) => op.reference !== undefined || !needsReference(op.metrics), {
    message: "is required by vmaf, psnr, ssim and ms_ssim",
    path: ["reference"],
  });

export type Analyze = z.output<typeof analyzeSchema>;

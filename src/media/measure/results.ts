/** A job's `results`, from what its measuring steps found. */
import type { VmafScores } from "./parse.ts";

/** libvmaf finds two metrics in one pass. */
export function toResults({ vmaf, ...others }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (vmaf === undefined) return others;
  const { vmaf: score, ms_ssim: similarity } = vmaf as VmafScores;
  return {
    ...(score === null ? {} : { vmaf: score }),
    ...(similarity === null ? {} : { ms_ssim: similarity }),
    ...others,
  };
}

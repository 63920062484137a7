/** Whether an output keeps what `options.verify` asks of it, with the numbers. Pure. */
import type { VerifyPolicy } from "../operations/quality.schema.ts";
import type { MediaInfo, PolicyPlan } from "../types.ts";
import type { Found, Loudness, Metric } from "./metrics.ts";
import type { VmafScores } from "./parse.ts";

/** What is measured of the whole output where a score was asked for. */
export const TARGET_PREFIX = "target/";
/** Findings of a policy's steps are called so, to stand apart from what a job is asked for. */
export const VERIFY_PREFIX = "verify/";

/** What the steps of a policy have to measure. */
export function metricsOf(policy: VerifyPolicy): Metric[] {
  const asked: readonly (readonly [Metric, unknown])[] = [
    ["vmaf", policy.vmaf_min],
    ["blackdetect", policy.black_max],
    ["freezedetect", policy.freeze_max],
    ["silence", policy.silence_max],
    ["loudness", policy.loudness],
  ];
  return asked.flatMap(([metric, value]) => (value === undefined ? [] : [metric]));
}

const number = (value: number): string => String(Number(value.toFixed(6)));

function loudnessMisses(found: Loudness, wanted: NonNullable<VerifyPolicy["loudness"]>): string[] {
  const { integrated, true_peak: peak } = found;
  const { min, max, true_peak_max: peakMax } = wanted;
  const misses: string[] = [];
  if (integrated === null && min !== undefined)
    misses.push(`the sound is silent, and at least ${min} LUFS are asked for`);
  if (integrated !== null && min !== undefined && integrated < min)
    misses.push(`the loudness is ${number(integrated)} LUFS, below ${min}`);
  if (integrated !== null && max !== undefined && integrated > max)
    misses.push(`the loudness is ${number(integrated)} LUFS, above ${max}`);
  if (peak !== null && peakMax !== undefined && peak > peakMax)
    misses.push(`the true peak is ${number(peak)} dBTP, above ${peakMax}`);
  return misses;
}

/** Sentences without an end, one for each thing that the output misses. */
export function missesOf(
  { policy, durationSeconds }: PolicyPlan,
  findings: Readonly<Record<string, unknown>>,
  media: MediaInfo,
): string[] {
  const found = <Value>(metric: Metric): Value | undefined =>
    findings[`${VERIFY_PREFIX}${metric}`] as Value | undefined;
  const misses: string[] = [];
  const vmaf = found<VmafScores>("vmaf")?.vmaf ?? null;
  if (policy.vmaf_min !== undefined && (vmaf === null || vmaf.score < policy.vmaf_min))
    misses.push(`VMAF is ${vmaf === null ? "unknown" : number(vmaf.score)}, below ${policy.vmaf_min}`);
  const drift = policy.duration_drift_max;
  if (drift !== undefined && durationSeconds !== null) {
    const off = Math.abs((media.durationSeconds ?? 0) - durationSeconds);
    if (off > drift + 1e-6)
      misses.push(
        `it lasts ${number(media.durationSeconds ?? 0)} s and not ${number(durationSeconds)}, ${number(off)} s off`,
      );
  }
  const lengths = [
    ["blackdetect", policy.black_max, "black"],
    ["freezedetect", policy.freeze_max, "frozen"],
    ["silence", policy.silence_max, "silent"],
  ] as const;
  for (const [metric, most, word] of lengths) {
    if (most === undefined) continue;
    const longest = found<Found>(metric)?.longest;
    if (longest === undefined) misses.push(`how long it is ${word} is unknown`);
    else if (longest > most + 0.001)
      misses.push(`it is ${word} for ${number(longest)} s at a stretch, more than ${most}`);
  }
  const loudness = found<Loudness>("loudness");
  if (policy.loudness !== undefined)
    misses.push(...(loudness === undefined ? ["the loudness is unknown"] : loudnessMisses(loudness, policy.loudness)));
  return misses;
}

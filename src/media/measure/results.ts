/** A job's `results`, from what its measuring steps found. */
import type { SearchPlan } from "../types.ts";
import type { CrfTry } from "./crf-search.ts";
import type { Pooled } from "./metrics.ts";
import type { VmafScores } from "./parse.ts";
import { TARGET_PREFIX, VERIFY_PREFIX } from "./policy.ts";

/** What became of `options.target`; `vmaf` is the whole output's. */
export interface TargetResult {
  readonly vmaf: Pooled | null;
  readonly asked: number;
  readonly reached: boolean;
  readonly crf: number;
  /** Of the samples by which the crf was found, and in percent of the input's picture. */
  readonly sampled_vmaf: number;
  readonly sampled_size_percent: number | null;
  readonly tries: number;
}

export function toTargetResult(
  { target }: SearchPlan,
  { best, tries }: { readonly best: CrfTry; readonly tries: number },
  findings: Values,
): TargetResult {
  const vmaf = (findings[`${TARGET_PREFIX}vmaf`] as VmafScores | undefined)?.vmaf ?? null;
  const rounded = (value: number): number => Math.round(value * 1_000) / 1_000;
  return {
    ...{ vmaf, asked: target.vmaf, reached: vmaf !== null && vmaf.score >= target.vmaf, crf: best.crf },
    ...{ sampled_vmaf: rounded(best.vmaf), tries },
    sampled_size_percent: best.sizePercent === null ? null : rounded(best.sizePercent),
  };
}

/** For the job's warnings: samples are a part of the film, and its score may turn out a little lower. */
export const targetWarnings = ({ vmaf, asked, reached, sampled_vmaf: sampled }: TargetResult): string[] =>
  reached || vmaf === null
    ? []
    : [`The whole output has VMAF ${vmaf.score}, while ${asked} was asked for and its samples had ${sampled}.`];

type Values = Readonly<Record<string, unknown>>;

/** What was measured for a client, and under `verify` what the output was held to. */
export function toResults(findings: Values): Values {
  const entries = Object.entries(findings);
  const asked = entries.filter(([name]) => !name.startsWith(VERIFY_PREFIX) && !name.startsWith(TARGET_PREFIX));
  const held = entries.filter(([name]) => name.startsWith(VERIFY_PREFIX));
  const verify = metricsOf(Object.fromEntries(held.map(([name, value]) => [name.slice(VERIFY_PREFIX.length), value])));
  return { ...metricsOf(Object.fromEntries(asked)), ...(held.length === 0 ? {} : { verify }) };
}

/** libvmaf finds two metrics in one pass. */
function metricsOf({ vmaf, ...others }: Values): Values {
  if (vmaf === undefined) return others;
  const { vmaf: score, ms_ssim: similarity } = vmaf as VmafScores;
  return {
    ...(score === null ? {} : { vmaf: score }),
    ...(similarity === null ? {} : { ms_ssim: similarity }),
    ...others,
  };
}

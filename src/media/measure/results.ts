/** A job's `results`, from what its measuring steps found. */
import type { VmafScores } from "./parse.ts";
import { VERIFY_PREFIX } from "./policy.ts";

type Values = Readonly<Record<string, unknown>>;

/** What was measured for a client, and under `verify` what the output was held to. */
export function toResults(findings: Values): Values {
  const entries = Object.entries(findings);
  const asked = entries.filter(([name]) => !name.startsWith(VERIFY_PREFIX));
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

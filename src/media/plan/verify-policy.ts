/** The steps of `options.verify`: they measure the finished output, and the verification reads what they found. */
import { compileMeasure } from "../measure/compile-measure.ts";
import { metricsOf, VERIFY_PREFIX } from "../measure/policy.ts";
import type { PlannedOutput, PlanStep, PolicyPlan } from "../types.ts";
import type { PlanContext } from "./context.ts";
import { givenTo, madeOf } from "./given.ts";
import type { OutputDraft } from "./output.ts";
import { invalidPlan } from "./refuse.ts";

/** Of the job's encoding time: decoding twice and comparing, or decoding once. */
const COMPARING_SHARE = 0.4;
const LOOKING_SHARE = 0.1;

export interface Policed {
  readonly steps: readonly PlanStep[];
  readonly policy: PolicyPlan;
}

/** Null when nothing is asked for. Throws `plan.invalid` where the output has not what is to be looked at. */
export function policyOf(context: PlanContext, draft: OutputDraft | undefined): Policed | null {
  const { verify: policy } = context.options;
  if (policy === undefined || draft === undefined) return null;
  const metrics = metricsOf(policy);
  const made = madeOf(draft);
  const { capabilities, limits, threads } = context;
  const given = policy.vmaf_min === undefined ? null : givenTo(context, draft);
  if (policy.vmaf_min !== undefined && given === null)
    throw invalidPlan(
      "There is no film whose frames could be compared with the input's; leave out vmaf_min.",
      "options.verify.vmaf_min",
    );
  if (policy.duration_drift_max !== undefined && draft.durationSeconds === null)
    throw invalidPlan(
      "The input does not say how long it is, so a drift cannot be told; leave out duration_drift_max.",
      "options.verify.duration_drift_max",
    );
  const { black_max: blackdetect, freeze_max: freezedetect, silence_max: silence } = policy;
  const measured =
    metrics.length === 0
      ? { steps: [] }
      : compileMeasure({
          ...{ distorted: made, reference: null, prepared: given, metrics, vmafModel: policy.vmaf_model, subsample: 1 },
          ...{ folder: "verify", findingPrefix: VERIFY_PREFIX, minSeconds: { blackdetect, freezedetect, silence } },
          ...{ capabilities, limits, threads },
        });
  return {
    steps: measured.steps.map((step) => ({ ...step, id: step.id === "measure" ? "verify" : `verify-${step.id}` })),
    policy: { policy, durationSeconds: draft.durationSeconds },
  };
}

/** The first output is the one that a policy is about. */
export const policedOutputs = (drafts: readonly OutputDraft[], { options }: PlanContext): PlannedOutput[] =>
  drafts
    .flatMap(({ files }) => files)
    .map((file, n) =>
      n === 0 && options.verify?.full_decode === true
        ? { ...file, expect: { ...file.expect, fullDecode: true } }
        : file,
    );

/** Which program compares is the deployment's matter, and so is the step that does. */
const shareOf = ({ findings = [] }: PlanStep): number =>
  findings.some(({ kind }) => kind === "vmaf") ? COMPARING_SHARE : LOOKING_SHARE;

/** The steps of an encode with those of its policy behind them. */
export function withPolicy(steps: readonly PlanStep[], policed: Policed | null): readonly PlanStep[] {
  const added = (policed?.steps ?? []).map((step) => ({ ...step, weight: shareOf(step) }));
  const rest = 1 - added.reduce((sum, { weight }) => sum + weight, 0);
  return [...steps.map((step) => ({ ...step, weight: step.weight * rest })), ...added];
}

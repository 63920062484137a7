/**
 * From measurements to a verdict.
 *
 * A ratio is judged against its limit only when the run could have seen the difference: the same variant measured twice
 * (A/A) has to agree with itself to within half of the claimed margin, which is the distance from the limit to 1. Only a
 * miss beyond that disagreement counts as one.
 */
import { median, p99, spread } from "./stats.ts";

export type Verdict = "met" | "edge" | "missed" | "noisy" | "warning" | "shown";

export interface RatioClaim {
  readonly kind: "ratio";
  /** The row of goals it belongs to, such as P1. */
  readonly goal: string;
  readonly what: string;
  readonly baselineName: string;
  readonly unit: string;
  /** Two series of the very same thing. */
  readonly baseline: readonly number[];
  readonly baselineAgain: readonly number[];
  readonly candidate: readonly number[];
  readonly statistic?: "median" | "p99";
  readonly limit: number;
  /** `most`: the ratio has to stay at or below the limit; `least`: at or above. */
  readonly bound: "most" | "least";
  /** CPU seconds of one run each, medians. */
  readonly cpu?: { readonly baseline: number; readonly candidate: number };
}

/** A figure without a baseline. Times prove little on a shared machine and only warn; counts and sizes are held to. */
export interface FigureClaim {
  readonly kind: "figure";
  readonly goal: string;
  readonly what: string;
  readonly unit: string;
  readonly value: number;
  /** At most this; null is shown without a verdict. */
  readonly limit: number | null;
  readonly isTime: boolean;
  readonly spread?: number;
}

export type Claim = RatioClaim | FigureClaim;

export interface Row {
  readonly goal: string;
  readonly what: string;
  readonly baseline: string;
  readonly measured: string;
  readonly ratio: number | null;
  readonly spread: number | null;
  readonly noise: number | null;
  readonly limit: string;
  readonly cpuRatio: number | null;
  readonly verdict: Verdict;
}

const ROUNDED = 3;
const withUnit = (value: number, unit: string): string => `${Number(value.toPrecision(ROUNDED))} ${unit}`.trim();

export interface RatioOutcome {
  readonly ratio: number;
  readonly noise: number;
  readonly verdict: "met" | "edge" | "missed" | "noisy";
}

export function judgeRatio(claim: RatioClaim): RatioOutcome {
  const of = claim.statistic === "p99" ? p99 : median;
  const noise = Math.abs(of(claim.baselineAgain) / of(claim.baseline) - 1);
  const ratio = of(claim.candidate) / of([...claim.baseline, ...claim.baselineAgain]);
  const margin = Math.abs(claim.limit - 1);
  if (!(noise <= margin / 2)) return { ratio, noise, verdict: "noisy" };
  const isMet = (limit: number): boolean => (claim.bound === "most" ? ratio <= limit : ratio >= limit);
  if (isMet(claim.limit)) return { ratio, noise, verdict: "met" };
  const allowed = claim.bound === "most" ? claim.limit * (1 + noise) : claim.limit / (1 + noise);
  return { ratio, noise, verdict: isMet(allowed) ? "edge" : "missed" };
}

function judgeFigure(claim: FigureClaim): Verdict {
  if (claim.limit === null) return "shown";
  if (claim.value <= claim.limit) return "met";
  return claim.isTime ? "warning" : "missed";
}

export function toRow(claim: Claim): Row {
  if (claim.kind === "figure") {
    return {
      goal: claim.goal,
      what: claim.what,
      baseline: "",
      measured: withUnit(claim.value, claim.unit),
      ratio: null,
      spread: claim.spread ?? null,
      noise: null,
      limit: claim.limit === null ? "" : `≤ ${withUnit(claim.limit, claim.unit)}`,
      cpuRatio: null,
      verdict: judgeFigure(claim),
    };
  }
  const of = claim.statistic === "p99" ? p99 : median;
  const { ratio, noise, verdict } = judgeRatio(claim);
  return {
    goal: claim.goal,
    what: claim.what,
    baseline: `${claim.baselineName} ${withUnit(of([...claim.baseline, ...claim.baselineAgain]), claim.unit)}`,
    measured: withUnit(of(claim.candidate), claim.unit),
    ratio,
    spread: spread(claim.candidate),
    noise,
    limit: `${claim.bound === "most" ? "≤" : "≥"} ${claim.limit}×`,
    cpuRatio: claim.cpu === undefined ? null : claim.cpu.candidate / claim.cpu.baseline,
    verdict,
  };
}

export const EXIT_MISSED = 1;
export const EXIT_NOISY = 3;

/** 1: something was missed; 3: nothing was, but a row could not be judged; 0 otherwise. */
export function exitCodeOf(verdicts: readonly Verdict[]): number {
  if (verdicts.includes("missed")) return EXIT_MISSED;
  return verdicts.includes("noisy") ? EXIT_NOISY : 0;
}

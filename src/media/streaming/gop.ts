/**
 * One plan of keyframes for a whole ladder, so that every rendition can be left and entered at the same instants.
 *
 * It is made in frames of the slowest rendition: faster ones have a whole multiple of its rate and so of its frames.
 */
import type { Fraction } from "../operations/scalars.ts";

export interface GopPlan {
  readonly gopSeconds: number;
  /** A whole number of GOPs, as near to what was asked for as can be. */
  readonly segmentSeconds: number;
}

const GOP_SECONDS = 2;

const rateOf = ({ num, den }: Fraction): number => num / den;

/** Null when the rates have no instants in common: one of them is no multiple of the slowest. */
export function gopPlan(rates: readonly Fraction[], askedSeconds: number): GopPlan | null {
  const slowest = rates.reduce(
    (least, rate) => (rateOf(rate) < rateOf(least) ? rate : least),
    rates[0] ?? { num: 25, den: 1 },
  );
  for (const rate of rates) {
    const ratio = rateOf(rate) / rateOf(slowest);
    if (Math.abs(ratio - Math.round(ratio)) > 1e-6) return null;
  }
  const target = Math.min(GOP_SECONDS, askedSeconds);
  const gops = Math.max(1, Math.round(askedSeconds / target));
  const gopFrames = Math.max(1, Math.round((askedSeconds / gops) * rateOf(slowest)));
  const gopSeconds = (gopFrames * slowest.den) / slowest.num;
  return { gopSeconds, segmentSeconds: gopSeconds * gops };
}

export const framesOf = ({ gopSeconds }: GopPlan, rate: Fraction): number => Math.round(gopSeconds * rateOf(rate));

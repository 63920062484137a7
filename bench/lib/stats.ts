/** Figures of a series of measurements. Every function takes at least one value and changes none. */

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

/** The value below which the share `q` of the values lies, by linear interpolation; `q` is 0 to 1. */
export function quantile(values: readonly number[], q: number): number {
  const ordered = sorted(values);
  const position = (ordered.length - 1) * q;
  const below = ordered[Math.floor(position)];
  const above = ordered[Math.ceil(position)];
  if (below === undefined || above === undefined) throw new RangeError("There is nothing to take a quantile of.");
  return below + (above - below) * (position - Math.floor(position));
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** A p99 of fewer values is the second worst of them, which says nothing. */
export const P99_SAMPLES_MIN = 1_000;

export function p99(values: readonly number[]): number {
  if (values.length < P99_SAMPLES_MIN) {
    throw new RangeError(`A p99 takes ${P99_SAMPLES_MIN} samples, not ${values.length}.`);
  }
  return quantile(values, 0.99);
}

/** The middle half's width as a share of the median. */
export function spread(values: readonly number[]): number {
  return (quantile(values, 0.75) - quantile(values, 0.25)) / median(values);
}

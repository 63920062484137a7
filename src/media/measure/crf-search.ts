/**
 * Which crf is the highest whose score reaches a target: from what was tried, what to try next. Pure.
 *
 * The score falls as the crf grows, nearly in a straight line where it matters, so that each try lies where a line between
 * the nearest ones on both sides crosses the target. Beside a bracket that shrinks from one side only it halves instead.
 */
export interface CrfTry {
  readonly crf: number;
  /** Mean over the samples. */
  readonly vmaf: number;
  /** Of the input's picture, in percent. */
  readonly sizePercent: number | null;
}

export interface CrfGrid {
  readonly min: number;
  readonly max: number;
  readonly step: number;
  /** Tried first. */
  readonly first: number;
}

export type CrfSearch =
  | { readonly kind: "try"; readonly crf: number }
  | { readonly kind: "found"; readonly best: CrfTry }
  /** Not even the lowest crf reaches it. */
  | { readonly kind: "unreachable"; readonly best: CrfTry };

/** A line from afar says little: one try in each direction goes no further than this. */
const LEAP_MAX = 12;

const onGrid = ({ min, max, step }: CrfGrid, crf: number): number =>
  Math.min(max, Math.max(min, Number((min + Math.round((crf - min) / step) * step).toFixed(3))));

/** `tries` in the order in which they were made. */
export function nextCrf(grid: CrfGrid, target: number, tries: readonly CrfTry[]): CrfSearch {
  const byCrf = [...tries].sort((a, b) => a.crf - b.crf);
  const good = byCrf.filter(({ vmaf }) => vmaf >= target).at(-1);
  const bad = byCrf.find(({ vmaf, crf }) => vmaf < target && crf > (good?.crf ?? Number.NEGATIVE_INFINITY));
  if (good === undefined && bad === undefined) return { kind: "try", crf: onGrid(grid, grid.first) };
  if (good === undefined) {
    const lowest = bad as CrfTry;
    if (lowest.crf <= grid.min) return { kind: "unreachable", best: lowest };
    // About two points of VMAF for each step of crf.
    const leap = Math.min(LEAP_MAX, Math.max(2 * tries.length, (target - lowest.vmaf) / 2));
    return { kind: "try", crf: Math.min(lowest.crf - grid.step, onGrid(grid, lowest.crf - leap)) };
  }
  if (bad === undefined) {
    if (good.crf >= grid.max) return { kind: "found", best: good };
    const leap = Math.min(LEAP_MAX, Math.max(2 * tries.length, (good.vmaf - target) / 2));
    return { kind: "try", crf: Math.max(good.crf + grid.step, onGrid(grid, good.crf + leap)) };
  }
  const steps = Math.round((bad.crf - good.crf) / grid.step);
  if (steps <= 1) return { kind: "found", best: good };
  const share = (good.vmaf - target) / Math.max(1e-6, good.vmaf - bad.vmaf);
  const between = isOneSided(tries, target) ? 0.5 : share;
  const crf = onGrid(grid, good.crf + between * (bad.crf - good.crf));
  return { kind: "try", crf: Math.min(bad.crf - grid.step, Math.max(good.crf + grid.step, crf)) };
}

/** The last two tries lay on the same side. */
function isOneSided(tries: readonly CrfTry[], target: number): boolean {
  const [before, last] = tries.slice(-2);
  return before !== undefined && last !== undefined && before.vmaf >= target === last.vmaf >= target;
}

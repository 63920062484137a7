/** Runs variants in turns, so that whatever drifts on the machine falls on all of them. */

export type Variants<Sample> = Readonly<Record<string, (round: number) => Promise<Sample>>>;

export interface RoundsOptions {
  /** At least this many. */
  readonly roundsMin: number;
  readonly roundsMax: number;
  /** No further round begins after this. */
  readonly budgetMs: number;
  now?(): number;
}

/** Each round runs every variant once; every other round in the reverse order. */
export async function interleave<Sample, Names extends string>(
  variants: Readonly<Record<Names, (round: number) => Promise<Sample>>>,
  { roundsMin, roundsMax, budgetMs, now = () => performance.now() }: RoundsOptions,
): Promise<Record<Names, Sample[]>> {
  const names = Object.keys(variants) as Names[];
  const samples = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Names, Sample[]>;
  const deadline = now() + budgetMs;
  for (let round = 0; round < roundsMax && (round < roundsMin || now() < deadline); round++) {
    const order = round % 2 === 0 ? names : [...names].reverse();
    for (const name of order) samples[name].push(await variants[name](round));
  }
  return samples;
}

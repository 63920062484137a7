/** The matrix of operations, containers with codecs, and odd inputs, for real: a share of it by a seed, all of it with --long. */
import { describe, expect, test } from "bun:test";
import { makeRandom } from "../faults/chaos/random.ts";
import { testEnv } from "../support/env.ts";
import { type Cell, DOINGS, INPUTS, nameOf, TARGETS } from "../support/matrix.ts";
import { COVER } from "../support/matrix-cover.ts";
import { type Outcome, runCell } from "./matrix-cells.ts";

const SEED = 20_261;
const SHARE = 20;
const AT_ONCE = 2;

/** Of every input, operation and target about as many as of every other, in an order that the seed decides. */
function shareOf(seed: number): readonly Cell[] {
  const random = makeRandom(seed);
  const shuffled = COVER.map((cell) => ({ cell, at: random.next() })).sort((a, b) => a.at - b.at);
  const uses = new Map<object, number>();
  const used = ({ input, doing, target }: Cell): number =>
    Math.max(...[input, doing, target].map((one) => uses.get(one) ?? 0));
  const picked: Cell[] = [];
  const most = Math.ceil((SHARE / Math.min(INPUTS.length, DOINGS.length, TARGETS.length)) * 1.5);
  for (const { cell } of shuffled) {
    if (picked.length === SHARE) break;
    if (used(cell) >= most) continue;
    for (const one of [cell.input, cell.doing, cell.target]) uses.set(one, (uses.get(one) ?? 0) + 1);
    picked.push(cell);
  }
  return picked;
}

async function eachOf<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const left = [...items].reverse();
  const worker = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await run(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const complaint = (outcome: Outcome): string =>
  outcome.kind === "refused" ? `was refused: ${outcome.message}` : outcome.problems.join("; ");

for (const major of [5, 9] as const) {
  describe(`on FFmpeg ${major}`, () => {
    const cells = testEnv().long ? COVER : shareOf(SEED + major);
    test(`${cells.length} of the matrix's ${COVER.length} cells are as they should be`, async () => {
      const wrong: string[] = [];
      await eachOf(cells, async (cell) => {
        const words = await runCell(cell, major).then(complaint, (error: unknown) => `threw ${String(error)}`);
        if (words !== "") wrong.push(`${nameOf(cell)}: ${words}`);
      });
      expect(wrong).toEqual([]);
    }, 3_600_000);
  });
}

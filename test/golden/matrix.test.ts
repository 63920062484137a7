/** The matrix of operations, containers with codecs, and odd inputs, for real: a share of it by a seed, most of it with --long. */
import { describe, expect, test } from "bun:test";
import { makeRandom } from "../faults/chaos/random.ts";
import { testEnv } from "../support/env.ts";
import { CELLS, type Cell, DOINGS, INPUTS, nameOf, TARGETS } from "../support/matrix.ts";
import { type Outcome, runCell } from "./matrix-cells.ts";

const SEED = 20_261;
const CELLS_RUN = testEnv().long ? 1_500 : 20;
const AT_ONCE = 2;

const PICTORIAL: ReadonlySet<string> = new Set(["scale", "fit", "blur", "denoise and sharpen", "stabilize"]);
const TIMED: ReadonlySet<string> = new Set(["trim", "reverse", "fade out", "join", "speed"]);

/** Whether there is nothing sensible that could be made: everything else has to be. */
function isImpossible({ input, doing, target }: Cell): boolean {
  const still = input.name === "one picture";
  const silent = still || input.name === "without sound" || input.name === "a gif";
  const soundless = target.kind === "picture" || target.output === "a.gif";
  const pictorial = doing.change !== undefined || PICTORIAL.has(doing.name);
  return (
    (target.kind === "sound" && (pictorial || silent || doing.silent === true)) ||
    (soundless && (doing.name === "loudness" || doing.name === "mono")) ||
    (input.view === null && (pictorial || soundless || doing.silent === true)) ||
    (still && ((target.kind === "film" && target.output !== "a.gif") || TIMED.has(doing.name))) ||
    (input.name === "that says no length" && (doing.name === "reverse" || doing.name === "fade out")) ||
    // Half of a film that stands upright is narrower than the encoder takes.
    (input.name === "turned" && doing.name === "crop" && target.transcode !== undefined)
  );
}

/** Every input, operation and target as often as every other, in an order that the seed decides. */
function chosen(seed: number): readonly Cell[] {
  const random = makeRandom(seed);
  const shuffled = [...CELLS].map((cell) => ({ cell, at: random.next() })).sort((a, b) => a.at - b.at);
  const uses = new Map<object, number>();
  const used = ({ input, doing, target }: Cell): number =>
    Math.max(...[input, doing, target].map((one) => uses.get(one) ?? 0));
  const picked: Cell[] = [];
  const most = Math.ceil((CELLS_RUN / Math.min(INPUTS.length, DOINGS.length, TARGETS.length)) * 1.5);
  for (const { cell } of shuffled) {
    if (picked.length === CELLS_RUN) break;
    if (used(cell) >= most || isImpossible(cell)) continue;
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
    test(`${CELLS_RUN} cells of ${CELLS.length} are as they should be`, async () => {
      const wrong: string[] = [];
      await eachOf(chosen(SEED + major), async (cell) => {
        const words = await runCell(cell, major).then(complaint, (error: unknown) => `threw ${String(error)}`);
        if (words !== "") wrong.push(`${nameOf(cell)}: ${words}`);
      });
      expect(wrong).toEqual([]);
    }, 3_600_000);
  });
}

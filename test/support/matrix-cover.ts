/**
 * A part of the matrix in which every pair of an input, an operation and a target occurs that can occur at all: what goes
 * wrong with one of them mostly does with one other, while the whole product would take days.
 */
import { CELLS, type Cell } from "./matrix.ts";

const PICTORIAL: ReadonlySet<string> = new Set(["scale", "fit", "blur", "denoise and sharpen", "stabilize"]);
const TIMED: ReadonlySet<string> = new Set(["trim", "reverse", "fade out", "join", "speed"]);

/** Whether there is nothing sensible that could be made: everything else has to be. */
export function isImpossible({ input, doing, target }: Cell): boolean {
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

export const pairsOf = ({ input, doing, target }: Cell): readonly string[] => {
  const aim = `${target.output} ${JSON.stringify(target.transcode ?? {})}`;
  return [`${doing.name} of ${input.name}`, `${doing.name} to ${aim}`, `${input.name} to ${aim}`];
};

export const POSSIBLE: readonly Cell[] = CELLS.filter((cell) => !isImpossible(cell));

/** Greedy, so nearly as few as can be, and the same each time: first cells with three new pairs, then two, then one. */
function coverOf(cells: readonly Cell[]): readonly Cell[] {
  const covered = new Set<string>();
  return [3, 2, 1].flatMap((gain) =>
    cells.filter((cell) => {
      const fresh = pairsOf(cell).filter((pair) => !covered.has(pair));
      if (fresh.length < gain) return false;
      for (const pair of fresh) covered.add(pair);
      return true;
    }),
  );
}

export const COVER: readonly Cell[] = coverOf(POSSIBLE);

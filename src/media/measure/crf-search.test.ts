import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type CrfGrid, type CrfSearch, type CrfTry, nextCrf } from "./crf-search.ts";

const GRID: CrfGrid = { min: 0, max: 51, step: 1, first: 23 };

function search(grid: CrfGrid, target: number, scoreOf: (crf: number) => number): { end: CrfSearch; tries: CrfTry[] } {
  const tries: CrfTry[] = [];
  for (;;) {
    const next = nextCrf(grid, target, tries);
    if (next.kind !== "try" || tries.length > 60) return { end: next, tries };
    tries.push({ crf: next.crf, vmaf: scoreOf(next.crf), sizePercent: null });
  }
}

describe("the search for a crf", () => {
  test("finds the highest that reaches the target, whatever falling curve it is", () => {
    const falls = fc.array(fc.double({ min: 0, max: 6, noNaN: true }), { minLength: 51, maxLength: 51 });
    fc.assert(
      fc.property(falls, fc.double({ min: 1, max: 100, noNaN: true }), (steps, target) => {
        const scores = [100];
        for (const fall of steps) scores.push(Math.max(0, (scores.at(-1) ?? 0) - fall));
        const { end, tries } = search(GRID, target, (crf) => scores[crf] ?? 0);
        const best = scores.findLastIndex((score) => score >= target);
        expect([end.kind, end.kind === "found" ? end.best.crf : null]).toEqual(["found", best]);
        expect(new Set(tries.map(({ crf }) => crf)).size).toBe(tries.length);
        expect(tries.length).toBeLessThanOrEqual(14);
      }),
      { numRuns: 300 },
    );
  });

  test("takes few tries of a curve as encoders have it", () => {
    const curve = (crf: number) => 100 - 0.02 * crf ** 2 - 0.1 * crf;
    for (const target of [70, 80, 90, 93, 95, 98]) {
      const { end, tries } = search({ ...GRID, step: 0.5 }, target, curve);
      expect(end.kind).toBe("found");
      expect(tries.length).toBeLessThanOrEqual(7);
    }
  });

  test("says what cannot be reached, after the best that can be done", () => {
    const { end } = search(GRID, 99, () => 90);
    expect(end).toMatchObject({ kind: "unreachable", best: { crf: 0, vmaf: 90 } });
    expect(search(GRID, 50, () => 90).end).toMatchObject({ kind: "found", best: { crf: 51 } });
  });
});

import { describe, expect, test } from "bun:test";
import { median, p99, quantile, spread } from "./stats.ts";
import { exitCodeOf, judgeRatio, type RatioClaim, toRow } from "./verdict.ts";

const claim = (over: Partial<RatioClaim>): RatioClaim => ({
  kind: "ratio",
  goal: "P0",
  what: "a thing",
  baselineName: "the other",
  unit: "ms",
  baseline: [100, 100, 100],
  baselineAgain: [100, 100, 100],
  candidate: [100, 100, 100],
  limit: 1.1,
  bound: "most",
  ...over,
});
const verdict = (over: Partial<RatioClaim>) => judgeRatio(claim(over)).verdict;

describe("a ratio", () => {
  test("is of medians, against both series of the baseline", () => {
    const outcome = judgeRatio(claim({ baseline: [90, 90, 900], baselineAgain: [94, 94], candidate: [1, 188, 200] }));
    expect(outcome.ratio).toBe(2);
    expect(outcome.noise).toBeCloseTo(4 / 90);
  });

  test("is met up to its limit, either way", () => {
    expect(verdict({ candidate: [110] })).toBe("met");
    expect(verdict({ bound: "least", limit: 0.7, candidate: [70] })).toBe("met");
  });

  test("is missed beyond the noise only", () => {
    const baselineAgain = [102];
    expect(verdict({ baseline: [100], baselineAgain, candidate: [113] })).toBe("edge");
    expect(verdict({ baseline: [100], baselineAgain, candidate: [114] })).toBe("missed");
    expect(verdict({ bound: "least", limit: 0.7, baseline: [100], baselineAgain, candidate: [70] })).toBe("edge");
    expect(verdict({ bound: "least", limit: 0.7, baseline: [100], baselineAgain, candidate: [68] })).toBe("missed");
  });

  test("without noise a miss is a miss", () => {
    expect(verdict({ candidate: [110.1] })).toBe("missed");
    expect(verdict({ bound: "least", limit: 0.7, candidate: [69.9] })).toBe("missed");
  });

  test("gets no verdict when the baseline disagrees with itself by more than half the margin", () => {
    expect(verdict({ baseline: [100], baselineAgain: [104.9] })).toBe("met");
    expect(verdict({ baseline: [100], baselineAgain: [105.1] })).toBe("noisy");
    expect(verdict({ baseline: [100], baselineAgain: [94.9] })).toBe("noisy");
    // A claim of a wide margin stands more noise, also when it is missed by far.
    expect(verdict({ limit: 2, baseline: [100], baselineAgain: [105.1], candidate: [300] })).toBe("missed");
    expect(verdict({ limit: 1.1, baseline: [100], baselineAgain: [105.1], candidate: [300] })).toBe("noisy");
  });

  test("of a baseline that could not be measured is noisy, never met", () => {
    expect(verdict({ baseline: [0], baselineAgain: [0] })).toBe("noisy");
  });

  test("shows CPU beside wall", () => {
    expect(toRow(claim({ cpu: { baseline: 2, candidate: 3 } })).cpuRatio).toBe(1.5);
    expect(toRow(claim({})).cpuRatio).toBeNull();
  });
});

describe("a figure", () => {
  const figure = { kind: "figure", goal: "P0", what: "it", unit: "ms", value: 12, limit: 10 } as const;
  test("warns when it is a time and misses when it is a count", () => {
    expect(toRow({ ...figure, isTime: true }).verdict).toBe("warning");
    expect(toRow({ ...figure, isTime: false }).verdict).toBe("missed");
    expect(toRow({ ...figure, value: 10, isTime: false }).verdict).toBe("met");
    expect(toRow({ ...figure, limit: null, isTime: false }).verdict).toBe("shown");
  });
});

describe("the exit code", () => {
  test("is 1 for a miss, 3 for a run that says nothing, else 0", () => {
    expect(exitCodeOf(["met", "edge", "warning", "shown"])).toBe(0);
    expect(exitCodeOf(["met", "noisy"])).toBe(3);
    expect(exitCodeOf(["noisy", "missed"])).toBe(1);
  });
});

describe("statistics", () => {
  test("interpolate", () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(quantile([10, 20], 0.25)).toBe(12.5);
    expect(spread([1, 2, 3])).toBe(0.5);
  });

  test("refuse a p99 of few samples", () => {
    const values = Array.from({ length: 1_000 }, (_, index) => index);
    expect(p99(values)).toBeCloseTo(989.01);
    expect(() => p99(values.slice(1))).toThrow(RangeError);
    expect(() => median([])).toThrow(RangeError);
  });
});

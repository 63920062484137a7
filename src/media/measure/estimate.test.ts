import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type EstimateRun, estimateFrom, estimateWhole, isWide, OFF_MAX, stretches } from "./estimate.ts";

const run = (seconds: number, wallSeconds: number, bytes: number): EstimateRun => ({
  ...{ seconds, wallSeconds, cpuSeconds: wallSeconds * 2, bytes, memoryBytes: 1e8 },
});

describe("an estimate", () => {
  test("takes off what starting costs, once", () => {
    const { seconds, cpuSeconds, bytes } = estimateFrom(run(0.2, 1, 10), [run(10, 3, 1e5), run(10, 3, 1e5)], 100);
    expect(seconds.value).toBeCloseTo(21);
    expect(cpuSeconds?.value).toBeCloseTo(42);
    expect(bytes.value).toBeCloseTo(1e6);
  });

  test("is the wider the more the parts differ, and never wider than it may be", () => {
    const even = estimateFrom(
      run(0.2, 0, 0),
      [1, 1, 1, 1].map((n) => run(10, n, n * 1e5)),
      200,
    );
    const uneven = estimateFrom(
      run(0.2, 0, 0),
      [1, 1.3, 0.8, 1.1].map((n) => run(10, n, n * 1e5)),
      200,
    );
    const wild = estimateFrom(
      run(0.2, 0, 0),
      [1, 9].map((n) => run(10, n, n * 1e5)),
      200,
    );
    expect(even.bytes.off).toBeLessThan(uneven.bytes.off);
    expect([wild.bytes.off, isWide(wild), isWide(even)]).toEqual([OFF_MAX, true, false]);
  });

  test("counts key frames and headers as the whole film has them", () => {
    // A header of 1500, 10000 for each key frame in 50 seconds, 100 for each second.
    const tiny = run(0.2, 0, 11_500);
    const { bytes } = estimateFrom(tiny, [run(10, 1, 12_500), run(10, 1, 12_500)], 200, 50);
    expect(bytes.value).toBeCloseTo(1_500 + 4 * 10_000 + 200 * 100, 0);
  });

  test("of a film that ran as a whole is what it took", () => {
    expect(estimateWhole(run(5, 2, 1234)).bytes).toEqual({ value: 1234, off: 0.02 });
  });

  test("looks at parts that lie in the film and not over each other", () => {
    fc.assert(
      fc.property(fc.double({ min: 5, max: 90_000, noNaN: true }), fc.double({ min: 0.5, max: 10 }), (whole, part) => {
        fc.pre(whole > part * 3);
        const parts = stretches(whole, part, 9).sort((a, b) => a.start - b.start);
        expect(parts.length).toBeWithin(2, 10);
        for (const [n, { start, duration }] of parts.entries()) {
          expect(start).toBeGreaterThanOrEqual(0);
          expect(start + duration).toBeLessThanOrEqual((parts[n + 1]?.start ?? whole) + 0.002);
        }
      }),
    );
  });
});

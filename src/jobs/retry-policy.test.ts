import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { backoffCeilingMs, backoffMs, RETRY_BASE_MS, RETRY_CAP_MS } from "./retry-policy.ts";

describe("backoff", () => {
  test("the ceiling doubles with each failure up to the cap", () => {
    expect([1, 2, 3, 4].map((count) => backoffCeilingMs(count, 100, 500))).toEqual([100, 200, 400, 500]);
    expect(backoffCeilingMs(1)).toBe(RETRY_BASE_MS);
    expect(backoffCeilingMs(1_000_000)).toBe(RETRY_CAP_MS);
  });

  test("the delay is anywhere between nothing and the ceiling", () => {
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.nat({ max: 100 }), random, (failures, roll) => {
        const delay = backoffMs(failures, roll);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(backoffCeilingMs(failures));
        expect(delay).toBe(roll * backoffCeilingMs(failures));
      }),
    );
  });
});

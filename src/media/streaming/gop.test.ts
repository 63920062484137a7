import { expect, test } from "bun:test";
import { framesOf, gopPlan } from "./gop.ts";

const rate = (num: number, den = 1) => ({ num, den });

test("segments are whole groups of pictures, as long as was asked for", () => {
  expect(gopPlan([rate(25)], 6)).toEqual({ gopSeconds: 2, segmentSeconds: 6 });
  expect(gopPlan([rate(25)], 1)).toEqual({ gopSeconds: 1, segmentSeconds: 1 });
  expect(gopPlan([rate(25)], 5)).toEqual({ gopSeconds: 1.68, segmentSeconds: 5.04 });
});

test("a rate that has no whole number of frames in the time gets the nearest", () => {
  const plan = gopPlan([rate(30_000, 1_001)], 6);
  expect(plan?.gopSeconds).toBeCloseTo(2.002, 6);
  expect(plan?.segmentSeconds).toBeCloseTo(6.006, 6);
});

test("renditions of different rates share their key frames", () => {
  const rates = [rate(60_000, 1_001), rate(30_000, 1_001)];
  const plan = gopPlan(rates, 4);
  if (plan === null) throw new Error("there is a plan");
  expect(rates.map((one) => framesOf(plan, one))).toEqual([120, 60]);
  expect(gopPlan([rate(25), rate(30)], 4)).toBeNull();
});

import { expect, test } from "bun:test";
import type { ExpectedSkip } from "../test/expected-skips.ts";
import { judgeSkips } from "./skips.ts";

const skipped = { file: "test/e2e/nvenc.test.ts", name: "nvenc > encodes", outcome: "skipped", seconds: 0 } as const;
const entry: ExpectedSkip = { file: /nvenc/, name: /^nvenc > /, when: "no NVIDIA GPU" };
const conditions = (holds: boolean, onGate: boolean) => ({
  "no NVIDIA GPU": { reason: "no GPU", holds: () => holds, onGate },
});
const reasons = (...args: Parameters<typeof judgeSkips>) => judgeSkips(...args).map(({ reason }) => reason);

test("a skip is allowed when it is listed and its condition holds", () => {
  expect(reasons([skipped], [entry], false, conditions(true, false))).toEqual(["no GPU"]);
});

test("a skip that is not listed is not allowed", () => {
  expect(reasons([skipped], [], false, conditions(true, true))).toEqual([null]);
  expect(reasons([{ ...skipped, name: "other" }], [entry], false, conditions(true, true))).toEqual([null]);
  expect(reasons([{ ...skipped, file: "other.test.ts" }], [entry], false, conditions(true, true))).toEqual([null]);
});

test("a skip whose condition does not hold is not allowed", () => {
  expect(reasons([skipped], [entry], false, conditions(false, true))).toEqual([null]);
});

test("the gate's machine is forgiven only missing hardware", () => {
  expect(reasons([skipped], [entry], true, conditions(true, false))).toEqual([null]);
  expect(reasons([skipped], [entry], true, conditions(true, true))).toEqual(["no GPU"]);
});

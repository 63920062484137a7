import { expect, test } from "bun:test";
import { allFiles, selectFiles, strayFiles } from "./select.ts";
import { SUITES, type Suite } from "./suites.ts";

const suite = (name: string, always: boolean): Suite => ({
  name,
  files: [],
  budgetSeconds: 1,
  longBudgetSeconds: 1,
  testTimeoutSeconds: 1,
  parallel: true,
  always,
});
const unit = { suite: suite("unit", true), files: ["src/jobs/claim.test.ts", "src/media/plan.test.ts"] };
const e2e = { suite: suite("e2e", false), files: ["test/e2e/claim.test.ts"] };
const picked = (...patterns: string[]) => selectFiles(patterns, [unit, e2e]).flatMap(({ files }) => files);

test("without a pattern, the suites that run always", () => {
  expect(picked()).toEqual([...unit.files]);
});

test("a suite's name takes all of it, a part of a path what matches in every suite", () => {
  expect(picked("e2e")).toEqual([...e2e.files]);
  expect(picked("claim")).toEqual(["src/jobs/claim.test.ts", "test/e2e/claim.test.ts"]);
  expect(picked("media/", "e2e")).toEqual(["src/media/plan.test.ts", "test/e2e/claim.test.ts"]);
  expect(picked("nothing")).toEqual([]);
});

test("every test file belongs to exactly one suite", () => {
  const all = allFiles();
  expect(strayFiles(all)).toEqual([]);
  const files = all.flatMap((selection) => selection.files);
  expect(files.length).toBe(new Set(files).size);
});

test("the budgets of what runs always leave room within 25 minutes", () => {
  const seconds = SUITES.filter(({ always }) => always).reduce((sum, { budgetSeconds }) => sum + budgetSeconds, 0);
  expect(seconds).toBeLessThanOrEqual(25 * 60);
});

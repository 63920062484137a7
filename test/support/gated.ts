/**
 * Tests that not every run or machine can run. `test.skip` and its kind are not to be used anywhere else: a skip is only
 * accepted when `test/expected-skips.ts` lists it.
 */
import { test } from "bun:test";
import { CONDITIONS, type ConditionName } from "../expected-skips.ts";
import { testEnv } from "./env.ts";

type Body = () => void | Promise<void>;

/** Runs only with `./dev test --long`; otherwise it does not exist, and so is no skip. */
export function longTest(name: string, body: Body, timeoutMs: number): void {
  if (testEnv().long) test(name, body, timeoutMs);
}

const answers = new Map<ConditionName, boolean>();

/** Skips the test where `condition` holds. The same condition must be named in the test's entry of the expected skips. */
export function testUnless(condition: ConditionName, name: string, body: Body, timeoutMs?: number): void {
  const holds = answers.get(condition) ?? CONDITIONS[condition].holds();
  answers.set(condition, holds);
  if (holds) test.skip(name, body);
  else test(name, body, timeoutMs);
}

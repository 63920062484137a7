/** Which of the skipped tests the committed list allows on this machine. */
import { CONDITIONS, type Condition, type ExpectedSkip } from "../test/expected-skips.ts";
import type { TestCase } from "./junit.ts";

export interface SkipVerdict {
  readonly test: TestCase;
  /** Why it may be skipped; null when it may not. */
  readonly reason: string | null;
}

export function judgeSkips(
  skipped: readonly TestCase[],
  list: readonly ExpectedSkip[],
  gate: boolean,
  conditions: Record<string, Condition> = CONDITIONS,
): SkipVerdict[] {
  return skipped.map((test) => {
    const entry = list.find(({ file, name }) => file.test(test.file) && name.test(test.name));
    const condition = entry === undefined ? undefined : conditions[entry.when];
    const allowed = condition !== undefined && (condition.onGate || !gate) && condition.holds();
    return { test, reason: allowed ? condition.reason : null };
  });
}

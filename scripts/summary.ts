/** What `./dev test` prints. */

import type { TestCase } from "./junit.ts";
import type { SuiteResult } from "./run-suite.ts";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

function countsOfOne({ cases, problems }: SuiteResult): Counts {
  const count = (outcome: TestCase["outcome"]) => cases.filter((one) => one.outcome === outcome).length;
  return { passed: count("passed"), failed: count("failed") + problems.length, skipped: count("skipped") };
}

export function countsOf(results: readonly SuiteResult[]): Counts {
  return results.map(countsOfOne).reduce(
    (sum, one) => ({
      passed: sum.passed + one.passed,
      failed: sum.failed + one.failed,
      skipped: sum.skipped + one.skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
}

/** One line when all is well; otherwise everything the failing tests printed. */
export function printResult(result: SuiteResult): void {
  const { passed, failed, skipped } = countsOfOne(result);
  const tail = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
  console.log(`${failed === 0 ? "✓" : "✗"} ${result.suite.name}: ${tail} in ${result.seconds.toFixed(1)} s`);
  if (failed === 0) return;
  console.log(result.output.replace(/^/gm, "  | "));
  for (const problem of result.problems) console.log(`  ${problem}`);
  for (const { file, name } of result.cases.filter(({ outcome }) => outcome === "failed")) {
    console.log(`  failed: ${file}: ${name}`);
  }
}

export function printSummary(results: readonly SuiteResult[]): void {
  const row = (name: string, ...cells: (string | number)[]) =>
    console.log(`${name.padEnd(12)}${cells.map((cell) => String(cell).padStart(9)).join("")}`);
  console.log("");
  row("suite", "passed", "failed", "skipped", "time", "budget");
  for (const result of results) {
    const { passed, failed, skipped } = countsOfOne(result);
    row(result.suite.name, passed, failed, skipped, `${result.seconds.toFixed(1)} s`, `${result.budgetSeconds} s`);
  }
  const seconds = results.reduce((sum, one) => sum + one.seconds, 0);
  const slow = results.flatMap(({ cases }) => cases).filter((one) => one.seconds > 5);
  slow.sort((a, b) => b.seconds - a.seconds);
  for (const { file, name, seconds: time } of slow.slice(0, 5)) {
    console.log(`slow: ${time.toFixed(1)} s  ${file}: ${name}`);
  }
  console.log(`all suites: ${seconds.toFixed(0)} s`);
}

/** The line that whoever started the run reads, alone and last. */
export function printVerdict(passed: number, failed: number): void {
  console.log(`${passed} passed, ${failed} failed`);
}

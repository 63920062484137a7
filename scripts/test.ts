/**
 * `./dev test [--long] [pattern…]`: real servers, then suite after suite, each within its budget, then what it all came to.
 * The last line is `N passed, N failed`; anything that is wrong counts as a failure, also when it is no test's own.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { EXPECTED_SKIPS } from "../test/expected-skips.ts";
import { endProcesses, removeFiles } from "./leftovers.ts";
import { makeRunFolder, untilInterrupted } from "./run-folder.ts";
import { runSuite, type SuiteResult } from "./run-suite.ts";
import { allFiles, type Selection, selectFiles, strayFiles } from "./select.ts";
import { type Services, startServices } from "./services.ts";
import { judgeSkips } from "./skips.ts";
import { countsOf, printResult, printSummary, printVerdict } from "./summary.ts";

const args = process.argv.slice(2);
const long = args.includes("--long");
const unknown = args.find((arg) => arg.startsWith("-") && arg !== "--long");
const interrupted = untilInterrupted();

async function runOne({ suite, files }: Selection, services: Services, folder: string): Promise<SuiteResult> {
  const budgetSeconds = long ? suite.longBudgetSeconds : suite.budgetSeconds;
  const env = long ? { ...services.env, TEST_LONG: "1" } : services.env;
  const result = await runSuite({ suite, files, budgetSeconds, folder, env, signal: interrupted });
  const skips = judgeSkips(
    result.cases.filter(({ outcome }) => outcome === "skipped"),
    EXPECTED_SKIPS,
    Bun.env.CI !== undefined && Bun.env.CI !== "",
  );
  for (const { test, reason } of skips) {
    if (reason === null) result.problems.push(`skipped, and not expected to be: ${test.file}: ${test.name}`);
  }
  const left = [...(await endProcesses(folder, services.servers)), ...(await removeFiles(join(folder, "tmp")))];
  result.problems.push(...left.map((what) => `left behind: ${what}`));
  return result;
}

async function runAll(selection: readonly Selection[]): Promise<SuiteResult[]> {
  await using folder = await makeRunFolder();
  await using services = await startServices(folder.path);
  const results: SuiteResult[] = [];
  for (const one of selection) {
    if (interrupted.aborted || one.files.length === 0) continue;
    const result = await runOne(one, services, folder.path);
    printResult(result);
    results.push(result);
  }
  return results;
}

function refuse(sentence: string): never {
  console.error(sentence);
  printVerdict(0, 1);
  process.exit(1);
}

const everything = allFiles();
const selection = selectFiles(
  args.filter((arg) => !arg.startsWith("-")),
  everything,
);
const stray = strayFiles(everything);
if (unknown !== undefined) refuse(`${unknown} is no option of ./dev test; --long is.`);
if (stray.length > 0) refuse(`These test files belong to no suite of scripts/suites.ts: ${stray.join(", ")}`);
if (!selection.some(({ files }) => files.length > 0)) refuse("No test file matches.");
if (selection.some(({ suite }) => suite.name === "e2e") && !existsSync("dist/rendiff")) {
  refuse("The e2e suite runs dist/rendiff, which is not there: ./dev build makes it.");
}

const results = await runAll(selection);
printSummary(results);
const { passed, failed } = countsOf(results);
const wrong = interrupted.aborted ? Math.max(1, failed) : failed;
// Nothing that ran proves nothing.
printVerdict(passed, passed + wrong === 0 ? 1 : wrong);
process.exit(interrupted.aborted ? 130 : passed > 0 && wrong === 0 ? 0 : 1);

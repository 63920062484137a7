/** Runs one suite in bun's test runner, in its own process group, within its budget. */
import { closeSync, openSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseJunit, type TestCase } from "./junit.ts";
import type { Suite } from "./suites.ts";

export interface SuiteRun {
  readonly suite: Suite;
  readonly files: readonly string[];
  readonly budgetSeconds: number;
  /** Holds the suite's log and report; made by the caller. */
  readonly folder: string;
  readonly env: Record<string, string>;
  readonly signal: AbortSignal;
}

export interface SuiteResult {
  readonly suite: Suite;
  readonly cases: readonly TestCase[];
  /** Failures that are no test's own: over budget, files that did not load, things left behind. */
  readonly problems: string[];
  readonly seconds: number;
  readonly budgetSeconds: number;
  /** What the tests printed, without the lines of those that passed. */
  readonly output: string;
}

const KILL_AFTER_MS = 5_000;

function argumentsFor({ suite, files }: SuiteRun, report: string): string[] {
  const workers = Math.min(2, availableParallelism());
  return [
    "test",
    suite.parallel && workers > 1 ? `--parallel=${workers}` : "--isolate",
    `--timeout=${suite.testTimeoutSeconds * 1_000}`,
    "--reporter=junit",
    `--reporter-outfile=${report}`,
    ...files.map((file) => `./${file}`),
  ];
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is gone.
  }
}

/** Ends the whole group when the budget is spent or the run is cancelled; says whether it had to. */
async function awaitWithin(child: Bun.Subprocess, budgetSeconds: number, signal: AbortSignal): Promise<boolean> {
  const over = Promise.withResolvers<"over">();
  const timer = setTimeout(() => over.resolve("over"), budgetSeconds * 1_000);
  const cancel = () => over.resolve("over");
  signal.addEventListener("abort", cancel);
  const outcome = signal.aborted ? "over" : await Promise.race([child.exited, over.promise]);
  clearTimeout(timer);
  signal.removeEventListener("abort", cancel);
  if (outcome !== "over") return false;
  signalGroup(child.pid, "SIGTERM");
  const killer = setTimeout(() => signalGroup(child.pid, "SIGKILL"), KILL_AFTER_MS);
  await child.exited;
  clearTimeout(killer);
  signalGroup(child.pid, "SIGKILL");
  return true;
}

/** Bun leaves files that did not load out of its report, and counts them at the end of its output. */
function unreported(files: readonly string[], cases: readonly TestCase[], log: string, exitCode: number | null) {
  const errors = Number(/^\s*(\d+) errors?$/m.exec(log)?.[1] ?? 0);
  if (errors > 0) {
    const seen = new Set(cases.map(({ file }) => file));
    const silent = files.filter((file) => !seen.has(file));
    return [`${errors} error(s) outside of tests; files without a result: ${silent.join(", ") || "none"}`];
  }
  if (exitCode !== 0 && !cases.some(({ outcome }) => outcome === "failed")) return [`bun test ended with ${exitCode}`];
  return [];
}

const readable = (log: string): string =>
  log
    .split("\n")
    .filter((line) => !/^\s*\(pass\) /.test(line))
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();

export async function runSuite(run: SuiteRun): Promise<SuiteResult> {
  const log = join(run.folder, `${run.suite.name}.log`);
  const report = join(run.folder, `${run.suite.name}.xml`);
  const started = performance.now();
  // One descriptor for both, so that neither stream writes over the other.
  const sink = openSync(log, "a");
  const child = Bun.spawn([process.execPath, ...argumentsFor(run, report)], {
    stdin: "ignore",
    stdout: sink,
    stderr: sink,
    env: run.env,
    detached: true,
  });
  closeSync(sink);
  const ended = await awaitWithin(child, run.budgetSeconds, run.signal);
  const seconds = (performance.now() - started) / 1_000;
  const text = await Bun.file(log).text();
  const cases = parseJunit((await Bun.file(report).exists()) ? await Bun.file(report).text() : "");
  const problems = ended
    ? [run.signal.aborted ? "interrupted" : `over its budget of ${run.budgetSeconds} s, and ended`]
    : unreported(run.files, cases, text, child.exitCode);
  const output = ended ? text.split("\n").slice(-60).join("\n") : readable(text);
  return { suite: run.suite, cases, problems, seconds, budgetSeconds: run.budgetSeconds, output };
}

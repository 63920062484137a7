/**
 * The suites and what each may cost. A suite that outgrows its budget fails: the whole of `./dev test` has to stay under
 * 25 minutes on two cores with everything that is to come, so time is shared out here and not found missing later.
 */

export interface Suite {
  readonly name: string;
  /** Globs of its test files, from the checkout's root. */
  readonly files: readonly string[];
  /** Wall time on two cores, in seconds; `long` with `--long`. */
  readonly budgetSeconds: number;
  readonly longBudgetSeconds: number;
  /** Of one test that names no limit of its own. */
  readonly testTimeoutSeconds: number;
  /** False: its files run one after another, because they measure time or take the machine's memory, disk or cores. */
  readonly parallel: boolean;
  /** Runs when no pattern is given. */
  readonly always: boolean;
}

const suite = (name: string, budgetSeconds: number, rest: Partial<Suite> = {}): Suite => ({
  name,
  files: [`test/${name}/**/*.test.ts`],
  budgetSeconds,
  longBudgetSeconds: budgetSeconds * 10,
  testTimeoutSeconds: 30,
  parallel: true,
  always: true,
  ...rest,
});

export const SUITES: readonly Suite[] = [
  suite("arch", 20),
  suite("unit", 100, {
    files: ["src", "actors", "plugins", "migrations", "scripts", "bench"].map((folder) => `${folder}/**/*.test.ts`),
  }),
  suite("support", 30),
  suite("golden", 158),
  suite("property", 60),
  suite("deploy", 60),
  suite("integration", 600, { testTimeoutSeconds: 60 }),
  // Readers who copy every block of the guides; needs no build, and uses one that is there.
  suite("docs", 120, { testTimeoutSeconds: 120 }),
  suite("faults", 330, { parallel: false, testTimeoutSeconds: 60, longBudgetSeconds: 14_400 }),
  // Needs dist/rendiff: `.ci/run` runs it after `./dev build`.
  suite("e2e", 525, { parallel: false, always: false, testTimeoutSeconds: 120, longBudgetSeconds: 14_400 }),
];

/** Everything that is wrong with the configuration, at once: a restart per mistake would waste the operator's time. */

export interface ConfigProblem {
  /** The variable as it is written (`MAX_INPUT_SIZE`), a flag (`--role`), or a place in a file (`.env:3`). */
  readonly name: string;
  /** Ends the sentence that `name` begins; never holds the value of a secret. */
  readonly message: string;
}

/** What an operating system's `sysexits.h` calls EX_CONFIG. */
export const CONFIG_EXIT_CODE = 78;

export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(formatProblems(problems));
    this.problems = problems;
  }
}

function formatProblems(problems: readonly ConfigProblem[]): string {
  const count = problems.length === 1 ? "One problem" : `${problems.length} problems`;
  const lines = problems.map(({ name, message }) => `  ${name} ${message}`);
  return [`${count} in the configuration (docs/configuration.md describes every name):`, ...lines].join("\n");
}

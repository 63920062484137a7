/** What the tests of loading share: a machine that never changes, and an environment that is only theirs. */
import type { Config } from "./config.ts";
import { ConfigError } from "./config-error.ts";
import { type LoadOptions, loadConfig } from "./load.ts";
import type { Machine } from "./machine.ts";

export const machine: Machine = {
  cpuCount: 8,
  memoryBytes: 1_000_000_000,
  isTerminal: false,
  diskBytes: () => 2_000_000_000,
};
export const CWD = "/nowhere/at-all";

export const load = (env: Record<string, string>, options: LoadOptions = {}): Config =>
  loadConfig({ env, cwd: CWD, machine, ...options });

/** The problems as `NAME message`; none is a failure. */
export function problemsOf(env: Record<string, string>, options: LoadOptions = {}): string[] {
  try {
    load(env, options);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ name, message }) => `${name} ${message}`);
    throw error;
  }
  throw new Error("The configuration was accepted.");
}

export const namesOf = (env: Record<string, string>, options: LoadOptions = {}): string[] =>
  problemsOf(env, options).map((problem) => problem.split(" ")[0] ?? "");

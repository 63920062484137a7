/** From the environment and the `.env` files to the Config, or every reason why not. The only reader of `process.env`. */
import { buildConfig } from "./build.ts";
import { checkTogether } from "./checks.ts";
import type { Config } from "./config.ts";
import { ConfigError, type ConfigProblem } from "./config-error.ts";
import { toAbsolute } from "./kinds.ts";
import { type Machine, readMachine } from "./machine.ts";
import { configSchema, type SettingName, type SettingValues } from "./schema.ts";
import { readSources } from "./sources.ts";
import { readStorageFile, type StorageFile } from "./storage-file.ts";
import { findUnknownNames } from "./unknown-names.ts";

export interface LoadOptions {
  /** Default: the process's own. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Where `.env` lies and what relative paths are relative to. Default: the process's own. */
  readonly cwd?: string;
  /** What wins over every other source, as texts: flags of a command, settings of a test. */
  readonly overrides?: Partial<Readonly<Record<SettingName, string>>>;
  /** `serve --role`: wins over RENDIFF_ROLE. */
  readonly role?: string;
  /** Default: this machine. */
  readonly machine?: Machine;
}

/** Throws a ConfigError with every problem; the caller prints it and exits with CONFIG_EXIT_CODE. */
export function loadConfig(options: LoadOptions = {}): Config {
  const { env = process.env, cwd = process.cwd(), overrides = {}, role, machine = readMachine() } = options;
  const sources = readSources({
    env,
    cwd,
    overrides: role === undefined ? overrides : { ...overrides, RENDIFF_ROLE: role },
  });
  const problems = [...sources.problems, ...findUnknownNames(sources.everything)];
  const values = parseSettings(sources.given, problems);
  const file = readBackends(values, cwd, Object.fromEntries(sources.everything));
  problems.push(...file.problems);
  const config = buildConfig(values, { cwd, machine, backends: file.backends });
  // A setting that is wrong by itself has its default in `config`: what follows from that would be noise.
  const accused = new Set(problems.map((problem) => problem.name));
  problems.push(...checkTogether(config).filter((problem) => !accused.has(problem.name)));
  if (problems.length === 0) return config;
  const asWritten = (name: string): string => (name === "RENDIFF_ROLE" && role !== undefined ? "--role" : name);
  throw new ConfigError(problems.map(({ name, message }) => ({ name: asWritten(name), message })));
}

function readBackends(values: SettingValues, cwd: string, env: Readonly<Record<string, string>>): StorageFile {
  if (values.STORAGE_CONFIG === null) return { backends: [], problems: [] };
  return readStorageFile({ path: toAbsolute(cwd, values.STORAGE_CONFIG), env });
}

/** Complete: a setting that does not parse has its default here, and its problem beside it. */
function parseSettings(texts: Partial<Record<SettingName, string>>, problems: ConfigProblem[]): SettingValues {
  // Parsed once: compiling a parser for it would take longer than that.
  const first = configSchema.safeParse(texts, { jitless: true });
  if (first.success) return first.data;
  const wrong = new Set<string>();
  for (const issue of first.error.issues) {
    const name = String(issue.path[0]);
    wrong.add(name);
    problems.push({ name, message: issue.message });
  }
  const sound = Object.fromEntries(Object.entries(texts).filter(([name]) => !wrong.has(name)));
  return configSchema.parse(sound, { jitless: true });
}

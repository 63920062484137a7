/** The configuration of a command that needs one. */
import type { Config } from "../config/config.ts";
import { type LoadOptions, loadConfig } from "../config/load.ts";
import { type Logger, makeLogger } from "../telemetry/logger.ts";

/** Throws a ConfigError, which main prints. */
export function configFor(options: LoadOptions = {}): Config {
  return loadConfig(options);
}

/** Everything that must never reach a log. */
function secretsOf({ keys, database, redis }: Config): string[] {
  return [...keys.adminKeys, keys.signingSecret, database.url, redis.url].filter((text) => text !== null);
}

export function loggerFor(config: Config): Logger {
  const { logLevel, logFormat } = config.process;
  return makeLogger({ level: logLevel, format: logFormat, secrets: secretsOf(config) });
}

/** For commands whose output is for people or pipes: only what is wrong, on stderr. */
export function quietLoggerFor(config: Config): Logger {
  return makeLogger({ level: "error", format: "pretty", destination: "stderr", secrets: secretsOf(config) });
}

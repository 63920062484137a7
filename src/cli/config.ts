/** The configuration of a command that needs one. */
import type { BackendConfig, Config } from "../config/config.ts";
import { type LoadOptions, loadConfig } from "../config/load.ts";
import { type Logger, makeLogger } from "../telemetry/logger.ts";

/** Throws a ConfigError, which main prints. */
export function configFor(options: LoadOptions = {}): Config {
  return loadConfig(options);
}

/** Everything that must never reach a log. */
function secretsOf({ keys, database, redis, storage }: Config): string[] {
  const stores = storage.backends.flatMap(secretsOfBackend);
  return [...keys.adminKeys, keys.signingSecret, database.url, redis.url, ...stores].filter((text) => text !== null);
}

function secretsOfBackend(backend: BackendConfig): (string | null)[] {
  if (backend.type === "s3") return Object.values(backend.credentials ?? {});
  if (backend.type !== "azure") return [];
  if (!("connectionString" in backend.access)) return [backend.access.sas];
  const { connectionString } = backend.access;
  // Its parts turn up alone, in headers and messages of the SDK.
  const parts = [...connectionString.matchAll(/(?:AccountKey|SharedAccessSignature)=([^;]+)/g)].map(
    ([, value]) => value,
  );
  return [connectionString, ...parts.filter((value) => value !== undefined)];
}

export function loggerFor(config: Config): Logger {
  const { logLevel, logFormat } = config.process;
  return makeLogger({ level: logLevel, format: logFormat, secrets: secretsOf(config) });
}

/** For commands whose output is for people or pipes: only what is wrong, on stderr. */
export function quietLoggerFor(config: Config): Logger {
  return makeLogger({ level: "error", format: "pretty", destination: "stderr", secrets: secretsOf(config) });
}

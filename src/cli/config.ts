/** The configuration of a command that needs one. */
import type { BackendConfig, Config } from "../config/config.ts";
import { type LoadOptions, loadConfig } from "../config/load.ts";
import { type Logger, makeLogger } from "../telemetry/logger.ts";

/** Throws a ConfigError, which main prints. */
export function configFor(options: LoadOptions = {}): Config {
  return loadConfig(options);
}

/** Everything that must never reach a log. */
function secretsOf({ keys, database, redis, storage, telemetry }: Config): string[] {
  const stores = storage.backends.flatMap(secretsOfBackend);
  const urls = [database.url, database.replicaUrl, redis.url].flatMap(secretsOfUrl);
  const collector = Object.values(telemetry.traces?.headers ?? {}).flatMap(secretsOfHeader);
  return [...keys.adminKeys, keys.signingSecret, ...urls, ...stores, ...collector].filter((text) => text !== null);
}

/** The whole, what follows a scheme (`Bearer …`), and both as they are given: percent-encoded. */
function secretsOfHeader(value: string): string[] {
  const parts = [value, value.replace(/^\S+\s+/, "")];
  return [...new Set([...parts, ...parts.map(encodeURIComponent)])];
}

/** The whole, and the password as it stands there and as it is sent. */
function secretsOfUrl(url: string | null): string[] {
  if (url === null) return [];
  const password = /^[a-z0-9+.-]+:\/\/[^/@]*?:([^@/]+)@/i.exec(url)?.[1];
  if (password === undefined) return [url];
  try {
    return [url, password, decodeURIComponent(password)];
  } catch {
    return [url, password];
  }
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

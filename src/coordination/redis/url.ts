/**
 * From REDIS_URL to what ioredis wants.
 *
 *   redis://[user:password@]host[:port][/database]
 *   redis+sentinel://[user:password@]host[:port],…/master[/database]
 *   redis+cluster://[user:password@]host[:port],…
 *
 * `rediss` in place of `redis` means TLS, to sentinels and cluster nodes too. `?ca=/path` names a file of certificates to
 * trust beside the system's; `?sentinel_password=…` is the sentinels' own.
 */
import { RendiffError } from "../../errors.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface RedisTarget {
  readonly mode: "single" | "sentinel" | "cluster";
  /** At least one. */
  readonly addresses: readonly Address[];
  /** Sentinel only. */
  readonly master: string | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly sentinelPassword: string | null;
  readonly database: number;
  readonly tls: boolean;
  /** A file; null: the system's certificates. */
  readonly caFile: string | null;
}

const FORM = /^(redis|rediss)(?:\+(sentinel|cluster))?:\/\/(?:([^@/?]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/i;
const REDIS_PORT = 6_379;
const SENTINEL_PORT = 26_379;

function unusable(problem: string): RendiffError {
  return new RendiffError({ kind: "service.unavailable", publicMessage: `REDIS_URL cannot be used: ${problem}.` });
}

function parseAddress(text: string, defaultPort: number): Address {
  const found = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(text);
  const port = Number(found?.[2] ?? defaultPort);
  if (found?.[1] === undefined || port < 1 || port > 65_535) throw unusable("an address is not host:port");
  return { host: found[1].replace(/^\[|\]$/g, ""), port };
}

function parseDatabase(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  if (!/^\d{1,5}$/.test(text)) throw unusable("its database is not a number");
  return Number(text);
}

function parseOptions(text: string | undefined): { caFile: string | null; sentinelPassword: string | null } {
  const query = new URLSearchParams(text ?? "");
  const unknown = [...query.keys()].find((name) => name !== "ca" && name !== "sentinel_password");
  if (unknown !== undefined) throw unusable("its options are ca and sentinel_password, and there is another");
  return { caFile: query.get("ca"), sentinelPassword: query.get("sentinel_password") };
}

/** Throws `service.unavailable` with what is wrong; the message never holds the URL, which may hold a password. */
export function parseRedisUrl(url: string): RedisTarget {
  const found = FORM.exec(url);
  if (found === null) throw unusable("it is not of a form that the documentation names");
  const [, scheme = "", kind, user, hosts = "", path = "", query] = found;
  const mode = (kind?.toLowerCase() ?? "single") as RedisTarget["mode"];
  const addresses = hosts
    .split(",")
    .map((text) => parseAddress(text, mode === "sentinel" ? SENTINEL_PORT : REDIS_PORT));
  if (mode === "single" && addresses.length > 1)
    throw unusable("several addresses need redis+sentinel or redis+cluster");
  const parts = path.split("/");
  const master = mode === "sentinel" ? decodeURIComponent(parts.shift() ?? "") : null;
  if (master === "") throw unusable("the master's name is missing after the sentinels' addresses");
  if (parts.length > 1) throw unusable("there is too much after its addresses");
  const database = parseDatabase(parts[0]);
  if (mode === "cluster" && database !== 0) throw unusable("a Redis Cluster has database 0 only");
  const colon = user?.indexOf(":") ?? -1;
  const username = user === undefined ? "" : decodeURIComponent(colon === -1 ? user : user.slice(0, colon));
  const password = user === undefined || colon === -1 ? "" : decodeURIComponent(user.slice(colon + 1));
  return {
    ...{ mode, addresses, master, database, tls: scheme.toLowerCase() === "rediss", ...parseOptions(query) },
    username: username === "" ? null : username,
    password: password === "" ? null : password,
  };
}

/**
 * Kinds of setting: what a text must be, and what it becomes. `parse` answers undefined for a text that is not of the
 * kind; `expects` finishes the sentence "must be …".
 */
import { isAbsolute, resolve } from "node:path";
import ipaddr from "ipaddr.js";
import type { Network } from "./config.ts";
import { NETWORK_WORDS, parseNetwork } from "./networks.ts";
import {
  parseBitrate,
  parseBoolean,
  parseBytes,
  parseDurationMs,
  parseList,
  parsePercent,
  parsePerMinute,
  parseResolution,
} from "./units.ts";

export interface Kind<T> {
  /** One or two words for tables: `size`, `duration`. */
  readonly label: string;
  readonly expects: string;
  parse(text: string): T | undefined;
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

const inRange = (value: number | null, { min, max }: Range): number | undefined =>
  value === null || value < min || value > max ? undefined : value;

export const integer = (range: Range): Kind<number> => ({
  label: "number",
  expects: `a whole number from ${range.min} to ${range.max}`,
  parse: (text) => (/^\d{1,15}$/.test(text) ? inRange(Number(text), range) : undefined),
});

/** `min` and `max` as they are written: they appear in messages. */
export const duration = (min: string, max: string): Kind<number> => ({
  label: "duration",
  expects: `a duration such as 500ms, 30s, 10m, 24h or 30d, from ${min} to ${max}`,
  parse: (text) => inRange(parseDurationMs(text), { min: parseDurationMs(min) ?? 0, max: parseDurationMs(max) ?? 0 }),
});

/** Null stands for "never". */
export const durationOrNever = (min: string, max: string): Kind<{ readonly ms: number | null }> => {
  const bounded = duration(min, max);
  return {
    label: "duration or never",
    expects: `${bounded.expects}, or "never"`,
    parse(text) {
      if (text.toLowerCase() === "never") return { ms: null };
      const ms = bounded.parse(text);
      return ms === undefined ? undefined : { ms };
    },
  };
};

export const bytes = (min: string): Kind<number> => ({
  label: "size",
  expects: `a size such as 10GB (10^10 bytes) or 10GiB (10 x 2^30), at least ${min}`,
  parse: (text) => inRange(parseBytes(text), { min: parseBytes(min) ?? 0, max: Number.MAX_SAFE_INTEGER }),
});

export type Share = { readonly percent: number } | { readonly bytes: number };

export const bytesOrPercent = (min: string, whole: string): Kind<Share> => {
  const absolute = bytes(min);
  return {
    label: "size or percentage",
    expects: `${absolute.expects}, or a percentage of ${whole} such as 80%`,
    parse(text) {
      const percent = parsePercent(text);
      if (percent !== null) return { percent };
      const value = absolute.parse(text);
      return value === undefined ? undefined : { bytes: value };
    },
  };
};

export const bitrate: Kind<number> = {
  label: "bitrate",
  expects: "a bitrate such as 100Mbps, 800kbps or 1.5Gbps",
  parse: (text) => inRange(parseBitrate(text), { min: 1_000, max: 1e12 }),
};

export const perMinute: Kind<number> = {
  label: "rate",
  expects: "a rate such as 600/min, 10/s or 6000/h that is a whole number a minute, at least 1",
  parse: (text) => inRange(parsePerMinute(text), { min: 1, max: 1e9 }),
};

export const resolution: Kind<{ readonly width: number; readonly height: number }> = {
  label: "width x height",
  expects: "a resolution such as 7680x4320, each side from 16 to 65535",
  parse(text) {
    const size = parseResolution(text);
    const fits = size !== null && [size.width, size.height].every((side) => side >= 16 && side <= 65_535);
    return fits ? size : undefined;
  },
};

export const bool: Kind<boolean> = {
  label: "boolean",
  expects: "true or false",
  parse: (text) => parseBoolean(text) ?? undefined,
};

export const oneOf = <const V extends string>(values: readonly V[]): Kind<V> => ({
  label: values.join(", "),
  expects: `one of ${values.join(", ")}`,
  parse: (text) => values.find((value) => value === text.toLowerCase()),
});

/** `all`, or some of the values. */
export const someOf = <const V extends string>(values: readonly V[]): Kind<readonly V[]> => ({
  label: `list of ${values.join(", ")}`,
  expects: `"all", or a list, by commas, of ${values.join(", ")}`,
  parse(text) {
    if (text.toLowerCase() === "all") return values;
    const items = parseList(text.toLowerCase());
    const known = values.filter((value) => items.includes(value));
    return items.length > 0 && items.every((item) => values.some((value) => value === item)) ? known : undefined;
  },
});

export const autoOr = <T>(kind: Kind<T>): Kind<T | "auto"> => ({
  label: `${kind.label} or auto`,
  expects: `${kind.expects}, or "auto"`,
  parse: (text) => (text.toLowerCase() === "auto" ? "auto" : kind.parse(text)),
});

export const networks: Kind<readonly Network[]> = {
  label: "networks",
  expects: 'networks such as 10.0.0.0/8 or fd00::/8, by commas; also "loopback", "private", "all" and "none"',
  parse(text) {
    if (text.toLowerCase() === "none") return [];
    const found = parseList(text).map((item) => NETWORK_WORDS[item.toLowerCase()] ?? parseNetwork(item));
    if (found.length === 0 || found.includes(null)) return undefined;
    return [...new Set(found.flatMap((network) => network ?? []))];
  },
};

export const origins: Kind<readonly string[]> = {
  label: "origins",
  expects: 'origins such as https://app.example.com, by commas, or "*", or "none"',
  parse(text) {
    if (text.toLowerCase() === "none") return [];
    const found = parseList(text).map((item) => (item === "*" ? item : originOf(item)));
    if (found.length === 0 || found.includes(null)) return undefined;
    return [...new Set(found.filter((origin) => origin !== null))];
  },
};

function originOf(text: string): string | null {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  // Anything after the host would never match what a browser sends.
  return url.href === `${url.origin}/` ? url.origin : null;
}

/** A host name or an address to listen on. */
export const host: Kind<string> = {
  label: "address",
  expects: "an IP address or a host name to listen on, without a port",
  parse(text) {
    const bare = text.replace(/^\[(.*)\]$/, "$1");
    if (ipaddr.IPv4.isValidFourPartDecimal(bare) || (bare.includes(":") && ipaddr.IPv6.isValid(bare))) return bare;
    return /^(?![\d.]+$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(bare)
      ? bare
      : undefined;
  },
};

/** An http(s) URL without a query; what links begin with, so without its trailing slash. */
export const httpUrl: Kind<string> = {
  label: "URL",
  expects: "an http or https URL without credentials, query and fragment, such as https://media.example.com",
  parse(text) {
    if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
    const url = new URL(text);
    if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") return undefined;
    return url.href.replace(/\/+$/, "");
  },
};

/** A connection string as it stands; only its scheme is looked at, the driver reads the rest. */
export const connectionUrl = (schemes: readonly string[]): Kind<string> => ({
  label: "URL",
  expects: `a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`,
  parse: (text) => (schemes.some((scheme) => text.toLowerCase().startsWith(`${scheme}://`)) ? text : undefined),
});

/** A path; relative ones are resolved against the working directory when the configuration is built. */
export const path: Kind<string> = {
  label: "path",
  expects: "a path",
  parse: (text) => (text.includes("\0") ? undefined : text),
};

export const toAbsolute = (cwd: string, given: string): string =>
  isAbsolute(given) ? resolve(given) : resolve(cwd, given);

export const text = (expects: string, pattern: RegExp): Kind<string> => ({
  label: "text",
  expects,
  parse: (given) => (pattern.test(given) ? given : undefined),
});

/** Secrets by commas, each of at least `lengthMin` characters. */
export const secrets = (lengthMin: number): Kind<readonly string[]> => ({
  label: "list",
  expects: `keys of ${lengthMin} or more characters without spaces, by commas`,
  parse(given) {
    const items = parseList(given);
    const sound = items.length > 0 && items.every((item) => item.length >= lengthMin && !/\s/.test(item));
    return sound ? [...new Set(items)] : undefined;
  },
});

/** `name=value` by commas, values percent-encoded, as OpenTelemetry writes headers and attributes. */
export const pairs: Kind<Readonly<Record<string, string>>> = {
  label: "list",
  expects: "name=value pairs by commas, with values percent-encoded",
  parse(given) {
    const found: Record<string, string> = {};
    for (const item of given.split(",").filter((part) => part.trim() !== "")) {
      const [, name, value] = /^\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*=\s*([\x20-\x7e]*?)\s*$/.exec(item) ?? [];
      if (name === undefined || value === undefined) return undefined;
      try {
        found[name] = decodeURIComponent(value);
      } catch {
        return undefined;
      }
    }
    // A header with a line break in it would be another header.
    return Object.values(found).some((value) => !/^[\x20-\x7e]*$/.test(value)) ? undefined : found;
  },
};

export const fraction: Kind<number> = {
  label: "number",
  expects: "a number from 0 to 1",
  parse: (text) => (/^(0(\.\d{1,15})?|1(\.0{1,15})?)$/.test(text) ? Number(text) : undefined),
};

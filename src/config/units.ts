/**
 * The units people write in configuration. Pure: text in, a number in the unit of the function's name out, or null for
 * what is not of that form.
 */

/** Powers of 1000 with a plain letter, of 1024 with an `i`: `10GB` is 10^10 bytes, `10GiB` is 10 × 2^30. */
const BYTE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

const DURATION_UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const BITRATE_UNITS: Readonly<Record<string, number>> = { bps: 1, kbps: 1e3, mbps: 1e6, gbps: 1e9 };

const PERIODS_PER_MINUTE: Readonly<Record<string, number>> = {
  s: 60,
  sec: 60,
  second: 60,
  m: 1,
  min: 1,
  minute: 1,
  h: 1 / 60,
  hour: 1 / 60,
};

const QUANTITY = /^(\d{1,15}(?:\.\d{1,9})?) ?([a-z]+)?$/i;

function quantity(text: string, units: Readonly<Record<string, number>>): number | null {
  const match = QUANTITY.exec(text);
  const unit = match?.[2]?.toLowerCase();
  const factor = unit === undefined ? undefined : units[unit];
  if (match === null || factor === undefined) return null;
  const value = Math.round(Number(match[1]) * factor);
  return Number.isSafeInteger(value) ? value : null;
}

/** `10GB`, `512MiB`, `0.5 GB`; a bare whole number is bytes. */
export function parseBytes(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : quantity(text, BYTE_UNITS);
}

/** `500ms`, `30s`, `10m`, `24h`, `30d`, several in a row as `1h30m`. A bare number is refused: nobody knows its unit. */
export function parseDurationMs(text: string): number | null {
  const parts = text.match(/\d+(?:\.\d+)? ?[a-z]+/gi);
  if (parts === null || parts.join("") !== text) return text === "0" ? 0 : null;
  let totalMs = 0;
  for (const part of parts) {
    const partMs = quantity(part, DURATION_UNITS_MS);
    if (partMs === null) return null;
    totalMs += partMs;
  }
  return Number.isSafeInteger(totalMs) ? totalMs : null;
}

/** `100Mbps`, `800kbps`, in bits a second. */
export function parseBitrate(text: string): number | null {
  return quantity(text, BITRATE_UNITS);
}

/** `600/min`, `10/s`, `6000/h`; null also when it is no whole number a minute. */
export function parsePerMinute(text: string): number | null {
  const match = /^(\d{1,9}) ?\/ ?([a-z]+)$/i.exec(text);
  const factor = PERIODS_PER_MINUTE[match?.[2]?.toLowerCase() ?? ""];
  if (match === null || factor === undefined) return null;
  const perMinute = Number(match[1]) * factor;
  return Math.abs(perMinute - Math.round(perMinute)) < 1e-9 ? Math.round(perMinute) : null;
}

/** `80%`; above 0, at most 100. */
export function parsePercent(text: string): number | null {
  const match = /^(\d{1,3}(?:\.\d{1,3})?) ?%$/.exec(text);
  const percent = Number(match?.[1]);
  return match !== null && percent > 0 && percent <= 100 ? percent : null;
}

/** `7680x4320`. */
export function parseResolution(text: string): { readonly width: number; readonly height: number } | null {
  const match = /^(\d{1,5})[x×](\d{1,5})$/i.exec(text);
  if (match === null) return null;
  return { width: Number(match[1]), height: Number(match[2]) };
}

export function parseBoolean(text: string): boolean | null {
  if (/^(true|yes|on|1)$/i.test(text)) return true;
  if (/^(false|no|off|0)$/i.test(text)) return false;
  return null;
}

/** `a, b,,c` is three items. */
export function parseList(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

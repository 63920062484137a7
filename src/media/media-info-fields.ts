/** Reading untyped JSON without trusting it. */

export type Json = Readonly<Record<string, unknown>>;

const EMPTY: Json = {};

export function recordOf(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : EMPTY;
}

export function recordsOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.map(recordOf) : [];
}

/** A finite number, or text that is one; null for `N/A` and anything else. */
export function numberOf(value: unknown): number | null {
  if (typeof value !== "number" && (typeof value !== "string" || value.trim() === "")) return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}

export function positive(value: unknown): number | null {
  const number = numberOf(value);
  return number !== null && number > 0 ? number : null;
}

export function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" && value !== "N/A" && value !== "unknown" ? value : null;
}

/** A stream's or file's tag; containers differ in the case of its name. */
export function tagOf(json: Json, name: string): string | null {
  const tags = recordOf(json.tags);
  return textOf(tags[name]) ?? textOf(tags[name.toLowerCase()]) ?? textOf(tags[name.toUpperCase()]);
}

/** `30000/1001` or `4:3`; null for 0/0 and the like. */
export function ratioOf(value: unknown): { readonly num: number; readonly den: number } | null {
  const parts = typeof value === "string" ? /^(\d+)[/:](\d+)$/.exec(value) : null;
  const num = Number(parts?.[1]);
  const den = Number(parts?.[2]);
  return num > 0 && den > 0 ? { num, den } : null;
}

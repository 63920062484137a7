/** Ranges and conditions of a download (RFC 9110 §13 and §14). */

export interface ByteRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

export type RangeResult = ByteRange | "whole" | "unsatisfiable";

/**
 * The one range that is asked for. Several at once, another unit or nonsense get the whole file, as the RFC allows: a
 * multipart answer helps no player.
 */
export function parseRange(header: string | null, size: number): RangeResult {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "");
  if (match === null) return "whole";
  const [, first = "", last = ""] = match;
  if (first === "" && last === "") return "whole";
  if (first === "") {
    const suffix = Number(last);
    return suffix === 0 || size === 0 ? "unsatisfiable" : { start: Math.max(0, size - suffix), end: size };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return "whole";
  if (start >= size) return "unsatisfiable";
  return { start, end: last === "" ? size : Math.min(size, Number(last) + 1) };
}

export interface Validators {
  /** Strong, quoted. */
  readonly etag: string;
  readonly modifiedAt: Date;
}

function toSeconds(date: Date): number {
  return Math.floor(date.getTime() / 1000);
}

/** True when the client's copy is still good: 304. */
export function isNotModified(headers: Headers, { etag, modifiedAt }: Validators): boolean {
  const tags = headers.get("if-none-match");
  if (tags !== null)
    return tags.trim() === "*" || tags.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
  const since = Date.parse(headers.get("if-modified-since") ?? "");
  return Number.isFinite(since) && toSeconds(modifiedAt) <= Math.floor(since / 1000);
}

/** False when the client's part belongs to another version: then it gets the whole file. */
export function rangeStillApplies(headers: Headers, { etag, modifiedAt }: Validators): boolean {
  const condition = headers.get("if-range");
  if (condition === null) return true;
  // A weak tag never matches here.
  if (condition.includes('"')) return condition.trim() === etag;
  const date = Date.parse(condition);
  return Number.isFinite(date) && toSeconds(modifiedAt) === Math.floor(date / 1000);
}

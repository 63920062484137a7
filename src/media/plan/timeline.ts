/** Parts of the input in its own time, and how a branch of the graph is cut to one. */
import { type Filter, filter, printNumber } from "../filtergraph.ts";
import type { Operation } from "../operations/parse.ts";
import type { Trim } from "../operations/trim.schema.ts";
import { invalidPlan } from "./refuse.ts";

/** Seconds from the input's first timestamp; `end` null: to the end. */
export interface Window {
  readonly start: number;
  readonly end: number | null;
}

export const WHOLE: Window = { start: 0, end: null };

/**
 * A frame belongs to a part when it begins not more than this before it. Containers round timestamps to a millisecond and
 * people round the times they ask for, so without it a frame whose time is meant exactly would be lost.
 */
const SLACK_SECONDS = 0.001;
/** Packets come out of order: what is read reaches a little further than what is kept. */
const READ_AHEAD_SECONDS = 1;

function applyTrim(window: Window, trim: Trim, index: number, durationSeconds: number | null): Window {
  const start = window.start + trim.start;
  const asked = trim.end ?? (trim.duration === undefined ? null : trim.start + trim.duration);
  const until = asked === null ? null : window.start + asked;
  const end = until === null ? window.end : Math.min(until, window.end ?? until);
  const last = window.end ?? durationSeconds;
  if (last !== null && start >= last - SLACK_SECONDS) {
    const length = printNumber(Math.max(0, last - window.start));
    throw invalidPlan(
      `The trim starts at ${printNumber(trim.start)} s, but there are only ${length} s.`,
      `operations[${index}].start`,
    );
  }
  return { start, end: end !== null && durationSeconds !== null && end >= durationSeconds ? null : end };
}

/** The part that `operations` leave, and whether one of them asks for exactness. */
export function windowOf(operations: readonly Operation[], durationSeconds: number | null) {
  let window = WHOLE;
  let exact = false;
  let trimmed = false;
  operations.forEach((operation, index) => {
    if (operation.type !== "trim") return;
    window = applyTrim(window, operation, index, durationSeconds);
    trimmed = window.start > 0 || window.end !== null;
    exact = exact || (operation.mode === "exact" && trimmed);
  });
  return { window, exact, trimmed };
}

export function lengthOf({ start, end }: Window, durationSeconds: number | null): number | null {
  const last = end ?? durationSeconds;
  return last === null ? null : Math.max(0, last - start);
}

/** Where reading begins, `-ss` of the input: a little before the earliest part, or at the beginning. */
export function seekFor(windows: readonly Window[], seeksExactly: boolean): number {
  if (!seeksExactly) return 0;
  return Math.max(0, Math.min(...windows.map(({ start }) => start)) - SLACK_SECONDS);
}

/** How much is read from the seek on, `-t` of the input; null for all. */
export function readFor(windows: readonly Window[], seekSeconds: number): number | null {
  let last = 0;
  for (const { end } of windows) {
    if (end === null) return null;
    last = Math.max(last, end);
  }
  return last - seekSeconds + READ_AHEAD_SECONDS;
}

const shift = (seconds: number): string => `PTS-${printNumber(seconds)}/TB`;

/** Cuts decoded pictures to the part, and lets its time begin at zero. */
export function cutPicture({ start, end }: Window, seekSeconds: number): Filter[] {
  const offset = start - seekSeconds;
  const from = offset - SLACK_SECONDS;
  const until = end === null ? undefined : end - seekSeconds - SLACK_SECONDS;
  const trim = from > 0.000_5 || until !== undefined;
  return [
    ...(trim ? [filter("trim", { start: from > 0.000_5 ? from : undefined, end: until })] : []),
    ...(offset > 0 ? [filter("setpts", { expr: shift(offset) })] : []),
  ];
}

/**
 * Cuts decoded sound to the part, to the sample: times say where it begins, and where a gap would carry it beyond the end;
 * samples are counted for its length, because containers round times.
 */
export function cutSound({ start, end }: Window, seekSeconds: number, sampleRate: number): Filter[] {
  const offset = start - seekSeconds;
  const filters: Filter[] = [];
  if (offset > 0 || end !== null) {
    const until = end === null ? undefined : end - seekSeconds + SLACK_SECONDS;
    filters.push(filter("atrim", { start: offset > 0 ? offset : undefined, end: until }));
  }
  if (offset > 0) filters.push(filter("asetpts", { expr: shift(offset) }));
  if (end !== null && sampleRate > 0) {
    filters.push(filter("atrim", { end_sample: Math.round((end - start) * sampleRate) }));
  }
  return filters;
}

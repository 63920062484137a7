/** Parts of the input in its own time, and how a branch of the graph is cut to one. */
import { type Filter, filter, printNumber } from "../filtergraph.ts";
import { afterConcat } from "../operations/concat.schema.ts";
import { changesTime, numberOf } from "../operations/filter.schema.ts";
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

/** How the film's own time runs at a point of the chain, in the input's time. */
export interface Moment {
  readonly window: Window;
  /** Seconds of the input in one second of the film. */
  readonly rate: number;
  readonly reversed: boolean;
}

const BEGINNING: Moment = { window: WHOLE, rate: 1, reversed: false };

/** A part of the film as it is at `moment`, as a window of the input. */
function partOf({ window, rate, reversed }: Moment, from: number, until: number | null, last: number | null): Window {
  const stop = until === null ? null : until * rate;
  if (!reversed) {
    const end = stop === null ? window.end : Math.min(window.start + stop, window.end ?? Number.POSITIVE_INFINITY);
    return { start: window.start + from * rate, end };
  }
  const end = window.end ?? last ?? 0;
  return { start: stop === null ? window.start : Math.max(window.start, end - stop), end: end - from * rate };
}

function applyTrim(moment: Moment, trim: Trim, index: number, durationSeconds: number | null): Window {
  const { window, rate, reversed } = moment;
  const last = window.end ?? durationSeconds;
  const until = trim.end ?? (trim.duration === undefined ? null : trim.start + trim.duration);
  if (last === null && reversed) {
    throw invalidPlan(
      "The input does not say how long it is, so nothing can be trimmed after it is reversed; trim it before.",
      `operations[${index}]`,
    );
  }
  if (last !== null && trim.start * rate >= last - window.start - SLACK_SECONDS) {
    const length = printNumber(Math.max(0, last - window.start) / rate);
    throw invalidPlan(
      `The trim starts at ${printNumber(trim.start)} s, but there are only ${length} s.`,
      `operations[${index}].start`,
    );
  }
  const { start, end } = partOf(moment, trim.start, until, last);
  return { start, end: end !== null && durationSeconds !== null && end >= durationSeconds ? null : end };
}

/**
 * The part that `operations` leave, how its time runs, and whether one of them asks for exactness. Where files are joined,
 * the film is what they are together.
 */
export function windowOf(operations: readonly Operation[], durationSeconds: number | null) {
  let moment = BEGINNING;
  let exact = false;
  let trimmed = false;
  const first = afterConcat(operations);
  operations.forEach((operation, index) => {
    if (index < first) return;
    if (operation.type === "filter" && operation.name === "speed")
      moment = { ...moment, rate: moment.rate * numberOf(operation, "factor") };
    if (operation.type === "filter" && operation.name === "reverse") moment = { ...moment, reversed: !moment.reversed };
    if (operation.type !== "trim") return;
    const window = applyTrim(moment, operation, index, durationSeconds);
    moment = { ...moment, window };
    trimmed = window.start > 0 || window.end !== null;
    exact = exact || (operation.mode === "exact" && trimmed);
  });
  const retimed = operations.slice(first).some((operation) => operation.type === "filter" && changesTime(operation));
  return { ...moment, exact, trimmed, retimed };
}

/** Seconds of the film in the window, at `rate` seconds of the input each. */
export function lengthOf({ start, end }: Window, durationSeconds: number | null, rate = 1): number | null {
  const last = end ?? durationSeconds;
  return last === null ? null : Math.max(0, last - start) / rate;
}

/**
 * Where the film's time at `moment` begins in a graph that is cut to `final`: never later than the graph itself, because
 * trims only take away.
 */
export function graphZero({ window, rate, reversed }: Moment, final: Window, durationSeconds: number | null): number {
  if (!reversed) return (window.start - final.start) / rate;
  const last = durationSeconds ?? Number.POSITIVE_INFINITY;
  const [end, finalEnd] = [window.end ?? last, final.end ?? last];
  return end === finalEnd ? 0 : (finalEnd - end) / rate;
}

/** Where reading begins, `-ss` of the input: a little before the earliest part, or at the beginning. */
export function seekFor(windows: readonly Window[], seeksExactly: boolean): number {
  if (!seeksExactly) return 0;
  return Math.max(0, Math.min(...windows.map(({ start }) => start)) - SLACK_SECONDS);
}

export interface Span {
  readonly start: number;
  readonly end?: number | undefined;
}

/**
 * When something is shown, as `enable` of a filter: undefined for always, null for never. `zero` is where the span's time
 * begins in the graph's.
 */
export function enableFor({ start, end }: Span, zero: number): string | undefined | null {
  const from = start + zero;
  const until = end === undefined ? null : end + zero;
  if (until !== null && until <= SLACK_SECONDS) return null;
  const begins = from > SLACK_SECONDS ? [`gte(t,${printNumber(from - SLACK_SECONDS)})`] : [];
  const ends = until === null ? [] : [`lt(t,${printNumber(until - SLACK_SECONDS)})`];
  const terms = [...begins, ...ends];
  return terms.length === 0 ? undefined : terms.join("*");
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

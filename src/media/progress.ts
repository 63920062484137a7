/**
 * FFmpeg's `-progress` lines (`key=value`, a block ends with `progress=continue` or `progress=end`) as EncodeProgress.
 */
import type { EncodeProgress } from "./types.ts";

export interface ProgressOptions {
  /** Seconds of output to come; null when unknown. */
  readonly durationSeconds: number | null;
  /** Frames to come, where that is known better. */
  readonly frameCount?: number | null;
}

export interface ProgressParser {
  /** Null unless `line` ends a block. */
  push(line: string): EncodeProgress | null;
  /** Changes whenever FFmpeg has done something: what the stall limit looks at. */
  mark(): string;
}

/** Before `progress=end` it is never said to be done. */
const PERCENT_BEFORE_END = 99.9;

function read(values: ReadonlyMap<string, string>, key: string): number | null {
  const text = values.get(key)?.trim().replace(/x$/, "");
  if (text === undefined || text === "" || text === "N/A") return null;
  const number = Number(text);
  return Number.isFinite(number) ? number : null;
}

/** `out_time_ms` is in microseconds as well, in every version: only `out_time_us` says what it is. */
function outSecondsOf(values: ReadonlyMap<string, string>): number | null {
  const micros = read(values, "out_time_us") ?? read(values, "out_time_ms");
  return micros === null ? null : Math.max(0, micros / 1_000_000);
}

/** FFmpeg prints 0 until it has run for a second: it does not know yet. */
const known = (value: number | null): number | null => (value === 0 ? null : value);

const round = (value: number, digits: number) => Number(value.toFixed(digits));

export function makeProgressParser({ durationSeconds, frameCount = null }: ProgressOptions): ProgressParser {
  let values = new Map<string, string>();
  let percent = 0;
  let mark = "";

  const shareOf = (frame: number | null, outSeconds: number | null): number => {
    const byTime =
      outSeconds !== null && durationSeconds !== null && durationSeconds > 0 ? outSeconds / durationSeconds : 0;
    const byFrame = frame !== null && frameCount !== null && frameCount > 0 ? frame / frameCount : 0;
    return Math.max(byTime, byFrame);
  };

  const endBlock = (last: boolean): EncodeProgress => {
    const frame = read(values, "frame");
    const outSeconds = outSecondsOf(values);
    const speed = read(values, "speed");
    mark = `${frame}|${outSeconds}|${values.get("total_size") ?? ""}`;
    const reached = last ? 100 : Math.min(PERCENT_BEFORE_END, shareOf(frame, outSeconds) * 100);
    percent = Math.max(percent, round(reached, 1));
    const left = durationSeconds !== null && outSeconds !== null ? Math.max(0, durationSeconds - outSeconds) : null;
    const eta = left !== null && speed !== null && speed > 0 ? round(left / speed, 1) : null;
    return { percent, frame, fps: known(read(values, "fps")), speed, etaSeconds: last ? 0 : eta, outSeconds };
  };

  return {
    push(line) {
      const at = line.indexOf("=");
      if (at === -1) return null;
      const key = line.slice(0, at).trim();
      if (key !== "progress") {
        values.set(key, line.slice(at + 1));
        return null;
      }
      const progress = endBlock(line.slice(at + 1).trim() === "end");
      values = new Map();
      return progress;
    },
    mark: () => mark,
  };
}

/**
 * What FFmpeg's measuring filters write and print, read line by line so that of a film of hours no more is kept than a
 * number for each frame, for the percentile of VMAF and MS-SSIM. Formats are those of FFmpeg 4.4 to 9.0. A reader takes lines and gives its values at the end; `null` says that
 * nothing was measured, and whoever asked for it fails the job.
 */
import type { FindingKind } from "../types.ts";
import type { Found, Interval, Loudness, Pooled, Psnr, Scenes, Ssim } from "./metrics.ts";

const LISTED_MAX = 1_000;

/** One frame or moment: what the report says of it. Times in seconds. */
export interface Sample {
  /** Counted from 0. */
  readonly frame: number;
  readonly time: number | null;
  readonly values: Readonly<Record<string, number | null>>;
}

export interface Reader<Value> {
  push(line: string): Sample | null;
  end(): Value | null;
}

const round6 = (value: number): number => Math.round(value * 1e6) / 1e6;

/** FFmpeg's number: `inf` and `nan` are no numbers in JSON. */
function finite(text: string | undefined): number | null {
  const value = text === undefined || text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

function percentile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const low = sorted[Math.floor(at)] ?? 0;
  const high = sorted[Math.ceil(at)] ?? low;
  return low + (high - low) * (at - Math.floor(at));
}

/** Harmonic as libvmaf pools it: of value + 1, so that a zero does not swallow the rest. */
export function pool(values: readonly number[]): Pooled | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
  const harmonic = values.length / values.reduce((sum, one) => sum + 1 / (one + 1), 0) - 1;
  return {
    score: round6(mean),
    min: sorted[0] ?? 0,
    max: sorted.at(-1) ?? 0,
    harmonic_mean: round6(harmonic),
    p5: round6(percentile(sorted, 0.05)),
  };
}

export interface VmafScores {
  readonly vmaf: Pooled | null;
  readonly ms_ssim: Pooled | null;
  readonly frames: number;
}

const attribute = (line: string, name: string): number | null =>
  finite(new RegExp(`\\s${name}="([^"]*)"`).exec(line)?.[1]);

/** One metric over all frames: libvmaf's own figures where it gives them, since it rounds them once and not per frame. */
function pooled(values: readonly number[], line: string | undefined): Pooled | null {
  const ours = pool(values);
  if (ours === null || line === undefined) return ours;
  return {
    score: attribute(line, "mean") ?? ours.score,
    min: attribute(line, "min") ?? ours.min,
    max: attribute(line, "max") ?? ours.max,
    harmonic_mean: attribute(line, "harmonic_mean") ?? ours.harmonic_mean,
    p5: ours.p5,
  };
}

/** libvmaf's XML, in which each frame and each metric is a line of its own. */
function vmafReader(): Reader<VmafScores> {
  const vmaf: number[] = [];
  const msSsim: number[] = [];
  const sums: Record<string, string> = {};
  return {
    push(line) {
      const name = /<metric name="([^"]+)"/.exec(line)?.[1];
      if (name !== undefined) sums[name] = line;
      const frame = line.includes("<frame ") ? attribute(line, "frameNum") : null;
      if (frame === null) return null;
      const score = attribute(line, "vmaf");
      const similarity = attribute(line, "float_ms_ssim") ?? attribute(line, "ms_ssim");
      if (score !== null) vmaf.push(score);
      if (similarity !== null) msSsim.push(similarity);
      return {
        frame,
        time: null,
        values: {
          ...(score === null ? {} : { vmaf: score }),
          ...(similarity === null ? {} : { ms_ssim: similarity }),
        },
      };
    },
    end: () => ({
      vmaf: pooled(vmaf, sums.vmaf),
      ms_ssim: pooled(msSsim, sums.float_ms_ssim ?? sums.ms_ssim),
      frames: Math.max(vmaf.length, msSsim.length),
    }),
  };
}

/** The filter's summary line; the one of the last filter counts. */
function lastLine<Value>(pattern: RegExp, read: (parts: RegExpExecArray) => Value): Reader<Value> {
  let found: Value | null = null;
  return {
    push(line) {
      const parts = pattern.exec(line);
      if (parts !== null) found = read(parts);
      return null;
    },
    end: () => found,
  };
}

/** `PSNR y:29.32 u:30.96 v:30.53 average:29.74 min:28.96 max:31.55`; gray pictures have no `u` and `v`. */
const psnrReader = (): Reader<Psnr> =>
  lastLine(/\bPSNR (y:.*)$/, ([, text]) => {
    const value = (name: string) => finite(new RegExp(`\\b${name}:(\\S+)`).exec(text ?? "")?.[1]);
    return { y: value("y"), u: value("u"), v: value("v"), avg: value("average"), min: value("min"), max: value("max") };
  });

/** `SSIM Y:0.92 (11.16) U:… V:… All:0.93 (11.76)`. */
const ssimReader = (): Reader<Ssim> =>
  lastLine(/\bSSIM (Y:.*)$/, ([, text]) => {
    const value = (name: string) => finite(new RegExp(`\\b${name}:(\\S+)`).exec(text ?? "")?.[1]);
    return { score: value("All") ?? 0, y: value("Y") ?? 0, u: value("U"), v: value("V") };
  });

/** The summary of `ebur128`, which begins anew for each filter. Silence is shown as -70 LUFS, its peak as -inf. */
function loudnessReader(): Reader<Loudness> {
  const values: Record<string, number | null> = {};
  let begun = false;
  return {
    push(line) {
      if (line.includes("Summary:")) begun = true;
      const parts = begun ? /^\s+(I|LRA|Peak):\s+(\S+)/.exec(line) : null;
      if (parts?.[1] !== undefined) values[parts[1]] = finite(parts[2]);
      return null;
    },
    end() {
      if (!begun || !("I" in values)) return null;
      const integrated = values.I ?? null;
      return {
        integrated: integrated !== null && integrated <= -70 ? null : integrated,
        range: values.LRA ?? null,
        true_peak: values.Peak ?? null,
      };
    },
  };
}

/** A block of the `metadata` filter's print: `frame:12 pts:… pts_time:0.48`, then `key=value` lines. */
const HEAD = /^frame:(\d+)\s+pts:\S+\s+pts_time:(\S+)/;

/** `…_start=1.2` and `…_end=3.4`; what has no end lasts to the end, which the caller knows. */
function intervalsReader(minSeconds: number, endSeconds: number): Reader<Found> {
  const intervals: Interval[] = [];
  const sum = { count: 0, seconds: 0, longest: 0 };
  let start: number | null = null;
  const close = (end: number) => {
    if (start === null) return;
    // The filters round to frames; an interval just as long as asked for counts.
    if (end - start >= minSeconds - 0.001) {
      sum.count += 1;
      sum.seconds += end - start;
      sum.longest = Math.max(sum.longest, end - start);
      if (intervals.length < LISTED_MAX) intervals.push({ start: round6(start), end: round6(end) });
    }
    start = null;
  };
  return {
    push(line) {
      const parts = /_(start|end)(?:\.\d+)?=(\S+)/.exec(line);
      const at = finite(parts?.[2]);
      if (at === null) return null;
      if (parts?.[1] === "start") start = Math.max(0, at);
      else close(at);
      return null;
    },
    end() {
      close(Math.max(endSeconds, start ?? 0));
      return { count: sum.count, seconds: round6(sum.seconds), longest: round6(sum.longest), intervals };
    },
  };
}

function instantsReader(): Reader<Scenes> {
  const times: number[] = [];
  let count = 0;
  return {
    push(line) {
      const at = finite(/\.time=(\S+)/.exec(line)?.[1]);
      if (at === null) return null;
      count += 1;
      if (times.length < LISTED_MAX) times.push(at);
      return null;
    },
    end: () => ({ count, times }),
  };
}

/** Momentary loudness, every tenth of a second. */
function momentsReader(): Reader<{ readonly count: number }> {
  let count = 0;
  let time: number | null = null;
  return {
    push(line) {
      const head = HEAD.exec(line);
      if (head !== null) time = finite(head[2]);
      const value = finite(/^lavfi\.r128\.M=(\S+)/.exec(line)?.[1]);
      if (value === null) return null;
      count += 1;
      return { frame: count - 1, time, values: { momentary: value <= -120 ? null : value } };
    },
    end: () => ({ count }),
  };
}

/** Per-frame lines of the `stats_file` of psnr and ssim: `n:1 mse_avg:… psnr_avg:31.55 psnr_y:30.97 …`, `n:1 Y:0.94 … All:0.95 (…)`. */
export function parseStatsLine(line: string, kind: "psnr" | "ssim"): Sample | null {
  const frame = finite(/^n:(\d+)/.exec(line)?.[1]);
  if (frame === null) return null;
  const values: Record<string, number | null> = {};
  const pattern = kind === "psnr" ? /psnr_(avg|y|u|v):(\S+)/g : /\b(All|Y|U|V):(\S+)/g;
  for (const [, name, text] of line.matchAll(pattern)) values[`${kind}_${name?.toLowerCase()}`] = finite(text);
  return { frame: frame - 1, time: null, values };
}

export interface ReaderContext {
  readonly minSeconds: number;
  readonly endSeconds: number;
}

/** The reader of a kind. `context` bounds intervals: how long they have to be, and where the file ends. */
export function makeReader(
  kind: FindingKind,
  context: ReaderContext = { minSeconds: 0, endSeconds: 0 },
): Reader<unknown> {
  switch (kind) {
    case "vmaf":
      return vmafReader();
    case "psnr":
      return psnrReader();
    case "ssim":
      return ssimReader();
    case "loudness":
      return loudnessReader();
    case "intervals":
      return intervalsReader(context.minSeconds, context.endSeconds);
    case "instants":
      return instantsReader();
    case "moments":
      return momentsReader();
  }
}

/** A whole text through one reader. */
export function parseFinding(kind: FindingKind, text: string, context?: ReaderContext): unknown {
  const reader = makeReader(kind, context);
  for (const line of text.split(/\r?\n/)) reader.push(line);
  return reader.end();
}

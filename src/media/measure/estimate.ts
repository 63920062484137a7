/**
 * From runs of parts of a film to what the whole will take, with an error band. Pure.
 *
 * Each run costs what starting costs and then so much for each second of the film; the parts differ as the film does, and
 * the spread of their rates says how far their mean may be from the whole's.
 */

/** One run of the plan over a part of the film; a part that is the whole film needs no model. */
export interface EstimateRun {
  /** Of the output. */
  readonly seconds: number;
  readonly wallSeconds: number;
  readonly cpuSeconds: number | null;
  readonly bytes: number;
  readonly memoryBytes: number | null;
}

/** `off`: how far the value may be off in either direction, as a share of it. */
export interface Predicted {
  readonly value: number;
  readonly off: number;
}

export interface Estimate {
  /** Of encoding: what `encode_seconds` of the job's metrics will be. */
  readonly seconds: Predicted;
  readonly cpuSeconds: Predicted | null;
  /** Of all outputs. */
  readonly bytes: Predicted;
  /** Resident, of the largest process. */
  readonly memoryBytes: Predicted | null;
  /** What it was made of. */
  readonly samples: number;
  readonly sampledSeconds: number;
  readonly outputSeconds: number | null;
}

/** No estimate claims to be nearer than this: machines are not that even, and rate control is not. */
export const OFF_MIN = { seconds: 0.25, cpuSeconds: 0.2, bytes: 0.12, memoryBytes: 0.2 } as const;
/** Of what ran as a whole; times still depend on what else the machine does. */
const OFF_WHOLE = { seconds: 0.25, cpuSeconds: 0.2, bytes: 0.02, memoryBytes: 0.1 } as const;
export const OFF_MAX = 0.35;
/** Student's t for about nine times in ten, by the number of runs. */
const SPREAD: readonly number[] = [0, 0, 6.3, 2.9, 2.4, 2.1, 2, 1.9];
const SPREAD_REST = 1.8;

export function estimateWhole(run: EstimateRun): Estimate {
  const of = (value: number, off: number): Predicted => ({ value, off });
  return {
    seconds: of(run.wallSeconds, OFF_WHOLE.seconds),
    cpuSeconds: run.cpuSeconds === null ? null : of(run.cpuSeconds, OFF_WHOLE.cpuSeconds),
    bytes: of(run.bytes, OFF_WHOLE.bytes),
    memoryBytes: run.memoryBytes === null ? null : of(run.memoryBytes, OFF_WHOLE.memoryBytes),
    ...{ samples: 1, sampledSeconds: run.seconds, outputSeconds: run.seconds },
  };
}

interface Scale {
  /** Of a run of next to nothing. */
  readonly start: number;
  readonly outputSeconds: number;
  readonly offMin: number;
}

/** `values` of runs of `seconds` each; the spread of a part that was run shrinks with what is left of the film. */
function scaled(runs: readonly { seconds: number; value: number }[], scale: Scale): Predicted {
  const rates = runs.map(({ seconds, value }) => Math.max(0, value - scale.start) / seconds);
  const mean = rates.reduce((sum, rate) => sum + rate, 0) / rates.length;
  const value = scale.start + mean * scale.outputSeconds;
  const variance = rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / Math.max(1, rates.length - 1);
  const sampled = runs.reduce((sum, { seconds }) => sum + seconds, 0);
  const unseen = Math.sqrt(Math.max(0, 1 - sampled / scale.outputSeconds));
  const deviation = Math.sqrt(variance / rates.length) * (SPREAD[rates.length] ?? SPREAD_REST) * unseen;
  const off = value === 0 ? 0 : (deviation * scale.outputSeconds) / value;
  return { value, off: Math.min(OFF_MAX, Math.max(scale.offMin, off)) };
}

/** A file without media. */
const HEADER_BYTES = 1_500;

/**
 * The bytes of runs as the whole film has them: each begins with a header and a key frame, which `tiny` consists of, and the
 * whole has one header and a key frame in each group of `gopSeconds`.
 */
function bytesAsInWhole(tiny: EstimateRun, runs: readonly EstimateRun[], outputSeconds: number, gopSeconds: number) {
  const header = Math.min(HEADER_BYTES, tiny.bytes / 2);
  const key = tiny.bytes - header;
  const keys = (seconds: number): number => Math.max(1, seconds / gopSeconds);
  const perSecond = (key * keys(outputSeconds)) / outputSeconds;
  return runs.map((run) => {
    const rest = Math.max(0, run.bytes - header - key * keys(run.seconds));
    return { ...run, bytes: rest + (perSecond + header / outputSeconds) * run.seconds };
  });
}

/**
 * `tiny`: a run of next to nothing, for what starting costs. `runs`: at least two, of other parts. `gopSeconds`: from one key
 * frame to the next; null where that is not the encoder's to say.
 */
export function estimateFrom(
  tiny: EstimateRun,
  sampled: readonly EstimateRun[],
  outputSeconds: number,
  gopSeconds: number | null = null,
): Estimate {
  const runs = gopSeconds === null ? sampled : bytesAsInWhole(tiny, sampled, outputSeconds, gopSeconds);
  const of = (pick: (run: EstimateRun) => number, start: number, offMin: number): Predicted =>
    scaled(
      runs.map((run) => ({ seconds: run.seconds, value: pick(run) })),
      { start, outputSeconds, offMin },
    );
  const shortest = Math.min(...runs.map(({ wallSeconds }) => wallSeconds));
  const memory = runs.flatMap(({ memoryBytes }) => memoryBytes ?? []);
  return {
    seconds: of(({ wallSeconds }) => wallSeconds, Math.min(tiny.wallSeconds, shortest), OFF_MIN.seconds),
    cpuSeconds: [tiny, ...runs].some(({ cpuSeconds }) => cpuSeconds === null)
      ? null
      : of(({ cpuSeconds }) => cpuSeconds ?? 0, tiny.cpuSeconds ?? 0, OFF_MIN.cpuSeconds),
    bytes: of(({ bytes }) => bytes, 0, OFF_MIN.bytes),
    memoryBytes: memory.length === 0 ? null : { value: Math.max(...memory), off: OFF_MIN.memoryBytes },
    samples: runs.length,
    sampledSeconds: runs.reduce((sum, { seconds }) => sum + seconds, 0),
    outputSeconds,
  };
}

/** Whether more runs would make the band of what is predicted narrower than it may be at most. */
export const isWide = ({ bytes, seconds }: Estimate): boolean => bytes.off >= OFF_MAX || seconds.off >= OFF_MAX;

export interface Stretch {
  readonly start: number;
  readonly duration: number;
}

/** Parts of `seconds` each, spread evenly, in an order in which the first few are spread too. */
export function stretches(outputSeconds: number, seconds: number, countMax: number): Stretch[] {
  const count = Math.max(2, Math.min(countMax, Math.floor((outputSeconds * 0.8) / seconds)));
  const gap = outputSeconds / count;
  const all = Array.from({ length: count }, (_, n) => ({
    start: Number((n * gap + (gap - seconds) / 2).toFixed(3)),
    duration: seconds,
  }));
  // Every third: of nine 0 3 6, then 1 4 7.
  return [0, 1, 2].flatMap((first) => all.filter((_, n) => n % 3 === first));
}

/**
 * Runs a conversion over parts of its film and predicts the whole: sandboxed, within the memory budget and the reserved disk
 * space like a job, with what it wrote gone afterwards.
 */
import { mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { writePlanFiles } from "../ffmpeg/plan-files.ts";
import {
  type Estimate,
  type EstimateRun,
  estimateFrom,
  estimateWhole,
  isWide,
  stretches,
} from "../media/measure/estimate.ts";
import { type Measured, resolveStep, withMeasures } from "../media/measured.ts";
import type { Estimable } from "../media/plan/estimable.ts";
import type { Plan } from "../media/types.ts";
import type { Media } from "./media-tools.ts";

/** What samples may take together; those that are running are let finish. */
const BUDGET_SECONDS = 12;
const TINY_SECONDS = 0.2;
/** Tells how fast it goes. */
const SPEED_SECONDS = 2;
/** Two groups of pictures at the usual rates, so that key frames weigh in a part as in the whole. */
const SAMPLE_SECONDS = 10;
const SAMPLES_MAX = 9;
/** A film not much longer than its samples runs as a whole. */
const WHOLE_SECONDS = 50;
const NICENESS = 10;

export interface Placed {
  /** Absolute. */
  readonly workDir: string;
  readonly readOnly: readonly { readonly source: string; readonly target: string }[];
  reserve(bytes: number): Promise<void>;
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    // A file that is made of the plan itself is not there yet, and is small.
    return 0;
  }
}

async function runPlan(
  media: Media,
  plan: Plan,
  placed: Placed,
  seconds: number,
  signal: AbortSignal,
): Promise<EstimateRun> {
  const { workDir, readOnly } = placed;
  await writePlanFiles(plan.files, { workDir, readOnly });
  let measured: Measured = {};
  let [wallMs, cpuMs, memoryBytes]: [number, number | null, number | null] = [0, 0, null];
  for (const planned of plan.steps) {
    const step = resolveStep(planned, measured);
    const share = await media.memory(step.memoryBytesMax, signal);
    try {
      const report = await media.tools.run({
        ...{ step, workDir, readOnly, niceness: NICENESS, signal, contentKey: null, onProgress: () => {} },
      });
      measured = withMeasures(measured, step, report.loudness);
      wallMs += report.wallMs;
      cpuMs = cpuMs === null || report.cpuMs === null ? null : cpuMs + report.cpuMs;
      memoryBytes = Math.max(memoryBytes ?? 0, report.peakRssBytes ?? 0) || null;
    } finally {
      share.release();
    }
  }
  let bytes = 0;
  for (const { file } of plan.outputs) bytes += await sizeOf(join(workDir, file));
  await rm(join(workDir, "out"), { recursive: true, force: true });
  return { seconds, wallSeconds: wallMs / 1000, cpuSeconds: cpuMs === null ? null : cpuMs / 1000, bytes, memoryBytes };
}

export async function estimateIn(
  media: Media,
  wanted: Estimable,
  placed: Placed,
  signal: AbortSignal,
): Promise<Estimate> {
  const { whole, outputSeconds, copies, gopSeconds } = wanted;
  const run = (plan: Plan, seconds: number) => runPlan(media, plan, placed, seconds, signal);
  await placed.reserve(
    Math.min(whole.workBytesMax, (whole.workBytesMax / Math.max(1, outputSeconds ?? 1)) * WHOLE_SECONDS),
  );
  await mkdir(join(placed.workDir, "out"), { recursive: true });
  if (outputSeconds === null || outputSeconds <= TINY_SECONDS * 2) {
    return estimateWhole(await run(whole, outputSeconds ?? 0));
  }
  const tiny = await run(wanted.part(outputSeconds / 2, TINY_SECONDS), TINY_SECONDS);
  const short = Math.min(SPEED_SECONDS, outputSeconds / 2);
  const first = await run(wanted.part(0, short), short);
  const perSecond = Math.max(1e-3, (first.wallSeconds - tiny.wallSeconds) / Math.max(0.1, short - TINY_SECONDS));
  if (outputSeconds <= WHOLE_SECONDS && perSecond * outputSeconds <= BUDGET_SECONDS)
    return estimateWhole(await run(whole, outputSeconds));
  const seconds = Math.max(1, Math.min(SAMPLE_SECONDS, outputSeconds / 4, BUDGET_SECONDS / 3 / perSecond));
  const parts = copies
    ? [seconds, seconds * 2].map((duration) => ({ start: 0, duration }))
    : stretches(outputSeconds, seconds, SAMPLES_MAX);
  const runs: EstimateRun[] = [];
  const startedAt = performance.now();
  for (const { start, duration } of parts) {
    const late = performance.now() - startedAt > BUDGET_SECONDS * 1_000;
    const enough = runs.length >= 5 && !isWide(estimateFrom(tiny, runs, outputSeconds, gopSeconds));
    if (runs.length >= 2 && (late || enough)) break;
    runs.push(await run(wanted.part(start, duration), duration));
  }
  return estimateFrom(tiny, runs, outputSeconds, gopSeconds);
}

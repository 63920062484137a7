/** Runs the plan's FFmpeg processes one after another, each within its memory share, and reports as they go. */
import { writePlanFiles } from "../../../src/ffmpeg/plan-files.ts";
import {
  type LoudnessResult,
  loudnessResults,
  type Measured,
  resolveStep,
  withMeasures,
} from "../../../src/media/measured.ts";
import type { EncodeProgress, Plan, PlanStep } from "../../../src/media/types.ts";
import type { ContentKey } from "../attempt.types.ts";
import { type AttemptContext, type EncodeReport, type Held, held } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import { overall } from "../progress.ts";
import type { Recorder } from "../recorder.ts";
import { workDirOf } from "../scope.ts";
import { contentKeyOf } from "./content-key.ts";

/** Urgent jobs run beside background ones at their own speed. */
export const NICENESS = { high: 0, normal: 5, low: 15 } as const;

export async function encode(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
  signal: AbortSignal,
): Promise<Held<EncodeReport>> {
  const plan = context.plan as Plan;
  const contentKey = await contentKeyOf(ports, context.claim.lease.jobId, plan);
  await writePlanFiles(plan.files, workDirOf(context.scope));
  let wallMs = 0;
  let cpuMs: number | null = 0;
  let done = 0;
  let measured: Measured = {};
  const loudness: LoudnessResult[] = [];
  for (const planned of plan.steps) {
    const step = resolveStep(planned, measured);
    const report = await runStep(ports, context, { step, contentKey }, signal, (progress) =>
      recorder.progress({
        stage: "encoding",
        progress: overall("encoding", done * 100 + step.weight * progress.percent),
        fps: progress.fps,
        speed: progress.speed,
        etaSeconds: progress.etaSeconds,
      }),
    );
    measured = withMeasures(measured, step, report.loudness);
    loudness.push(...loudnessResults(step, report.loudness));
    done += step.weight;
    wallMs += report.wallMs;
    cpuMs = cpuMs === null || report.cpuMs === null ? null : cpuMs + report.cpuMs;
    if (step.durationSeconds !== null && report.wallMs > 0) {
      ports.metrics.ffmpegFinished({ speedRatio: (step.durationSeconds * 1000) / report.wallMs });
    }
  }
  return held({ wallMs, cpuMs, loudness, contentKey });
}

async function runStep(
  { tools, memory }: AttemptPorts,
  { claim, inputs, scope }: AttemptContext,
  { step, contentKey }: { readonly step: PlanStep; readonly contentKey: ContentKey | null },
  signal: AbortSignal,
  onProgress: (progress: EncodeProgress) => void,
): Promise<Awaited<ReturnType<AttemptPorts["tools"]["run"]>>> {
  const share = await memory(step.memoryBytesMax, signal);
  try {
    return await tools.run({
      ...{ step, contentKey },
      workDir: workDirOf(scope),
      readOnly: inputs.flatMap(({ readOnly }) => readOnly),
      niceness: NICENESS[claim.job.priority],
      signal,
      onProgress,
    });
  } finally {
    share.release();
  }
}

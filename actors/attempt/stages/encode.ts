/** Runs the plan's FFmpeg processes one after another, each within its memory share, and reports as they go. */
import type { EncodeProgress, Plan, PlanStep } from "../../../src/media/types.ts";
import { type AttemptContext, type EncodeReport, type Held, held } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import { overall } from "../progress.ts";
import type { Recorder } from "../recorder.ts";
import { workDirOf } from "../scope.ts";

/** Urgent jobs run beside background ones at their own speed. */
export const NICENESS = { high: 0, normal: 5, low: 15 } as const;

export async function encode(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
  signal: AbortSignal,
): Promise<Held<EncodeReport>> {
  const { steps } = context.plan as Plan;
  let wallMs = 0;
  let cpuMs: number | null = 0;
  let done = 0;
  for (const step of steps) {
    const report = await runStep(ports, context, step, signal, (progress) =>
      recorder.progress({
        stage: "encoding",
        progress: overall("encoding", done * 100 + step.weight * progress.percent),
        fps: progress.fps,
        speed: progress.speed,
        etaSeconds: progress.etaSeconds,
      }),
    );
    done += step.weight;
    wallMs += report.wallMs;
    cpuMs = cpuMs === null || report.cpuMs === null ? null : cpuMs + report.cpuMs;
    if (step.durationSeconds !== null && report.wallMs > 0) {
      ports.metrics.ffmpegFinished({ speedRatio: (step.durationSeconds * 1000) / report.wallMs });
    }
  }
  return held({ wallMs, cpuMs });
}

async function runStep(
  { tools, memory }: AttemptPorts,
  { claim, inputs, scope }: AttemptContext,
  step: PlanStep,
  signal: AbortSignal,
  onProgress: (progress: EncodeProgress) => void,
): Promise<EncodeReport> {
  const share = await memory(step.memoryBytesMax, signal);
  try {
    return await tools.run({
      step,
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

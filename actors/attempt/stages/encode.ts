/** Runs the plan's FFmpeg processes one after another, each within its memory share, and reports as they go. */

import { toRendiffError } from "../../../src/errors.ts";
import { writePlanFiles } from "../../../src/ffmpeg/plan-files.ts";
import {
  type LoudnessResult,
  loudnessResults,
  type Measured,
  resolveStep,
  withMeasures,
} from "../../../src/media/measured.ts";
import { fromFile } from "../../../src/media/transfers.ts";
import type { EncodeProgress, Plan, PlanStep } from "../../../src/media/types.ts";
import {
  type AttemptContext,
  type ContentKey,
  type EncodeReport,
  type Held,
  held,
  LEASE_LOST,
  type PreparedInput,
} from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import { overall } from "../progress.ts";
import type { Recorder } from "../recorder.ts";
import { workDirOf } from "../scope.ts";
import { contentKeyOf } from "./content-key.ts";

/** Urgent jobs run beside background ones at their own speed. */
export const NICENESS = { high: 0, normal: 5, low: 15 } as const;

/**
 * The stage and the plan are recorded while FFmpeg starts: a commit waits for the disk, and what FFmpeg writes until then is
 * in a folder that goes with the lease.
 */
export async function encode(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
  signal: AbortSignal,
): Promise<Held<EncodeReport>> {
  const plan = context.plan as Plan;
  const warnings = [...context.media.flatMap((info) => info.warnings), ...plan.warnings];
  const useless = new AbortController();
  const recording = recorder.stage("encoding", { plan, warnings });
  void recording.then(
    (holds) => holds || useless.abort(),
    (error) => useless.abort(error),
  );
  const encoding = runSteps(ports, recorder, context, AbortSignal.any([signal, useless.signal]));
  const [recorded, encoded] = await Promise.allSettled([recording, encoding]);
  if (recorded.status === "rejected") throw recorded.reason;
  if (!recorded.value) return LEASE_LOST;
  if (encoded.status === "rejected") throw encoded.reason;
  return held(encoded.value);
}

async function runSteps(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
  signal: AbortSignal,
): Promise<EncodeReport> {
  const plan = context.plan as Plan;
  const contentKey = await contentKeyOf(ports, context.claim.lease.jobId, plan);
  const { transfers = [] } = plan;
  const streamed = new Set(transfers.flatMap(({ file, mode }) => (mode === "streamed" ? [file] : [])));
  for (const input of context.inputs) {
    if (!streamed.has(input.file)) await fetchInput(ports, recorder, input, signal);
  }
  // Captions are written from an input, which has to be there as a whole.
  const readOnly = context.inputs.flatMap((input) => input.readOnly);
  await writePlanFiles(plan.files, { workDir: workDirOf(context.scope), readOnly });
  let wallMs = 0;
  let cpuMs: number | null = 0;
  let done = 0;
  let measured: Measured = {};
  const loudness: LoudnessResult[] = [];
  const findings: Record<string, unknown> = {};
  for (const planned of plan.steps) {
    const step = resolveStep(planned, measured);
    const report = await runFed(ports, recorder, context, { step, contentKey }, signal, (progress) =>
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
    Object.assign(findings, report.findings);
    done += step.weight;
    wallMs += report.wallMs;
    cpuMs = cpuMs === null || report.cpuMs === null ? null : cpuMs + report.cpuMs;
    if (step.durationSeconds !== null && report.wallMs > 0) {
      ports.metrics.ffmpegFinished({ speedRatio: (step.durationSeconds * 1000) / report.wallMs });
    }
  }
  return { wallMs, cpuMs, loudness, findings, contentKey };
}

/**
 * A step whose input is streamed into it; from the file, fetched whole, when FFmpeg cannot make it out from a pipe. What the
 * input itself failed with is no reason to try again here.
 */
async function runFed(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
  { step, contentKey }: StepRun,
  signal: AbortSignal,
  onProgress: (progress: EncodeProgress) => void,
): Promise<StepReport> {
  const whole = { step: fromFile(step), contentKey };
  const fed = context.inputs.find(({ file }) => file === step.stdin);
  const { remote } = fed ?? {};
  if (fed === undefined || remote == null || remote.isWhole()) {
    return await runStep(ports, context, whole, signal, onProgress);
  }
  const missing = remote.stat.sizeBytes - remote.fetchedBytes();
  try {
    const report = await runStep(ports, context, { step, contentKey }, signal, onProgress, remote.read(signal));
    ports.metrics.storageTransferred({ backend: fed.ref.backend, direction: "download", bytes: missing });
    return report;
  } catch (error) {
    signal.throwIfAborted();
    if (!FROM_A_PIPE.has(toRendiffError(error).kind)) throw error;
    ports.logger.info({ err: error, jobId: context.claim.lease.jobId }, "an input is fetched whole after all");
    await fetchInput(ports, recorder, fed, signal);
    return await runStep(ports, context, whole, signal, onProgress);
  }
}

/** What a film that cannot be read from a pipe ends with; a damaged one ends so from a file too. */
const FROM_A_PIPE: ReadonlySet<string> = new Set(["ffmpeg.failed", "input.unreadable", "output.invalid"]);

/** The rest of an input, with its progress told as bytes. */
async function fetchInput(
  ports: AttemptPorts,
  recorder: Recorder,
  { remote, ref }: PreparedInput,
  signal: AbortSignal,
): Promise<void> {
  if (remote === null || remote.isWhole()) return;
  const missing = remote.stat.sizeBytes - remote.fetchedBytes();
  await remote.complete(signal, (total) => {
    const percent = (total / Math.max(1, missing)) * 100;
    recorder.progress({
      stage: "downloading",
      progress: overall("downloading", percent),
      ...{ fps: null, speed: null, etaSeconds: null },
    });
  });
  ports.metrics.storageTransferred({ backend: ref.backend, direction: "download", bytes: missing });
}

interface StepRun {
  readonly step: PlanStep;
  readonly contentKey: ContentKey | null;
}

type StepReport = Awaited<ReturnType<AttemptPorts["tools"]["run"]>>;

async function runStep(
  { tools, memory }: AttemptPorts,
  { claim, inputs, scope }: AttemptContext,
  { step, contentKey }: StepRun,
  signal: AbortSignal,
  onProgress: (progress: EncodeProgress) => void,
  input?: AsyncGenerator<Uint8Array>,
): Promise<StepReport> {
  const share = await memory(step.memoryBytesMax, signal);
  try {
    return await tools.run({
      ...{ step, contentKey },
      workDir: workDirOf(scope),
      readOnly: inputs.flatMap(({ readOnly }) => readOnly),
      niceness: NICENESS[claim.job.priority],
      signal,
      onProgress,
      ...(input === undefined ? {} : { input }),
    });
  } finally {
    share.release();
  }
}

/** Runs one step of a plan, within its memory share, from the file or as its input is fetched. */
import { toRendiffError } from "../../../src/errors.ts";
import { fromFile } from "../../../src/media/transfers.ts";
import type { EncodeProgress, PlanStep } from "../../../src/media/types.ts";
import { LEAST_URGENT } from "../../../src/process/port.ts";
import type { RemoteInput } from "../../../src/transfer/remote-input.ts";
import type { AttemptContext, ContentKey, PreparedInput } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import { overall } from "../progress.ts";
import type { Recorder } from "../recorder.ts";
import { workDirOf } from "../scope.ts";

/** Urgent jobs run beside background ones at their own speed. */
export const NICENESS = { high: 0, normal: 5, low: LEAST_URGENT } as const;

/**
 * A step whose input is streamed into it; from the file, fetched whole, when FFmpeg cannot make it out from a pipe. What the
 * input itself failed with is no reason to try again here.
 */
export async function runFed(
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
    const report = await runStep(ports, context, { step, contentKey }, signal, onProgress, remote);
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
export async function fetchInput(
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

export interface StepRun {
  readonly step: PlanStep;
  readonly contentKey: ContentKey | null;
}

export type StepReport = Awaited<ReturnType<AttemptPorts["tools"]["run"]>>;

export async function runStep(
  { tools, memory }: AttemptPorts,
  { claim, inputs, scope }: AttemptContext,
  { step, contentKey }: StepRun,
  signal: AbortSignal,
  onProgress: (progress: EncodeProgress) => void,
  remote?: RemoteInput,
): Promise<StepReport> {
  const share = await memory(step.memoryBytesMax, signal);
  const reading = new AbortController();
  try {
    return await tools.run({
      ...{ step, contentKey },
      workDir: workDirOf(scope),
      readOnly: inputs.flatMap(({ readOnly }) => readOnly),
      niceness: NICENESS[claim.job.priority],
      signal,
      onProgress,
      ...(remote === undefined ? {} : { input: remote.read(AbortSignal.any([signal, reading.signal])) }),
    });
  } finally {
    reading.abort();
    share.release();
  }
}

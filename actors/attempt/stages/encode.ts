/** Runs the plan's FFmpeg processes one after another, each within its memory share, and reports as they go. */

import { setImmediate as turn } from "node:timers/promises";
import { writePlanFiles } from "../../../src/ffmpeg/plan-files.ts";
import {
  type LoudnessResult,
  loudnessResults,
  type Measured,
  resolveStep,
  withMeasures,
} from "../../../src/media/measured.ts";
import { withCrf } from "../../../src/media/plan/search.ts";
import type { Plan } from "../../../src/media/types.ts";
import {
  type AttemptContext,
  type ContentKey,
  type EncodeReport,
  type Held,
  held,
  LEASE_LOST,
} from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import { overall } from "../progress.ts";
import type { Recorder } from "../recorder.ts";
import { workDirOf } from "../scope.ts";
import { contentKeyOf } from "./content-key.ts";
import { fetchInput, runFed } from "./run-step.ts";
import { searchCrf } from "./search.ts";
import { type Ahead, makeAhead } from "./send-ahead.ts";

/**
 * The stage and the plan are recorded while FFmpeg starts: a commit waits for the disk, and what FFmpeg writes until then is
 * in a folder that goes with the lease. Recorded a turn later, since on the embedded database a statement holds up all else.
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
  const encoding = runSteps(ports, recorder, context, AbortSignal.any([signal, useless.signal]));
  const recording = turn().then(() => recorder.stage("encoding", { plan, warnings }));
  void recording.then(
    (holds) => holds || useless.abort(),
    (error) => useless.abort(error),
  );
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
  const ahead = makeAhead(ports, recorder, context);
  try {
    const report = await runAll(ports, recorder, context, { contentKey, ahead }, signal);
    return { ...report, contentKey, ahead: await ahead.settle() };
  } catch (error) {
    await ahead.stop();
    throw error;
  }
}

async function runAll(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
  { contentKey, ahead }: { readonly contentKey: ContentKey | null; readonly ahead: Ahead },
  signal: AbortSignal,
): Promise<Omit<EncodeReport, "contentKey" | "ahead">> {
  const plan = context.plan as Plan;
  const search = plan.search === undefined ? null : await searchCrf(ports, recorder, context, plan.search, signal);
  let wallMs = search?.wallMs ?? 0;
  let cpuMs: number | null = search === null ? 0 : search.cpuMs;
  let done = plan.search?.weight ?? 0;
  let memoryBytesPeak = 0;
  let measured: Measured = {};
  const loudness: LoudnessResult[] = [];
  const findings: Record<string, unknown> = {};
  for (const planned of plan.steps) {
    const resolved = resolveStep(planned, measured);
    const step = search === null ? resolved : withCrf(resolved, search.best.crf);
    ahead.begin(step);
    const report = await runFed(ports, recorder, context, { step, contentKey }, signal, (progress) => {
      recorder.progress({
        stage: "encoding",
        progress: overall("encoding", done * 100 + step.weight * progress.percent),
        fps: progress.fps,
        speed: progress.speed,
        etaSeconds: progress.etaSeconds,
      });
    });
    ahead.end();
    measured = withMeasures(measured, step, report.loudness);
    loudness.push(...loudnessResults(step, report.loudness));
    Object.assign(findings, report.findings);
    memoryBytesPeak = Math.max(memoryBytesPeak, report.peakRssBytes ?? 0);
    done += step.weight;
    wallMs += report.wallMs;
    cpuMs = cpuMs === null || report.cpuMs === null ? null : cpuMs + report.cpuMs;
    if (step.durationSeconds !== null && report.wallMs > 0) {
      ports.metrics.ffmpegFinished({ speedRatio: (step.durationSeconds * 1000) / report.wallMs });
    }
  }
  return { wallMs, cpuMs, loudness, findings, search, memoryBytesPeak };
}

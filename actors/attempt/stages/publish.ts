/**
 * Rolls a fenced job forward: make each output visible, look at each, and only then record the end. Every act can be
 * repeated, by this attempt or by a successor that starts from the row's manifest.
 */
import { RendiffError } from "../../../src/errors.ts";
import { toFailure } from "../../../src/jobs/failure.ts";
import type { PublishedOutput, PublishManifest, PublishStep } from "../../../src/jobs/types.ts";
import type { AttemptContext, PublishOutcome } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import type { Recorder } from "../recorder.ts";
import { releaseProcessors } from "../scope.ts";
import { cleanLocal } from "./clean-up.ts";

type StepResult = { readonly published: PublishedOutput } | { readonly problem: RendiffError };

export async function publish(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
  signal: AbortSignal,
): Promise<PublishOutcome> {
  const manifest = context.manifest as PublishManifest;
  // Before the end is told: who waits for it to send the next job means that job to have the whole machine.
  releaseProcessors(context.scope);
  recorder.progress({ stage: "publishing", progress: 99, fps: null, speed: null, etaSeconds: null });
  const results: StepResult[] = [];
  // In order: playlists and manifests come last.
  for (const step of manifest.steps) results.push(await makeVisible(ports, step, signal));
  const problem = results.find((result) => "problem" in result)?.problem;
  if (problem !== undefined) return giveUp(ports, recorder, manifest, problem, signal);
  const published = results.flatMap((result) => ("published" in result ? [result.published] : []));
  if (!(await recorder.complete(manifest, published))) return { outcome: "lost" };
  context.scope.ended = true;
  await cleanLocal(ports, context);
  return { outcome: "completed" };
}

async function makeVisible(ports: AttemptPorts, step: PublishStep, signal: AbortSignal): Promise<StepResult> {
  const backend = ports.storage.backend(step.staged.backend);
  const { outcome } = await backend.publish(step.staged, { ifAbsent: step.ifAbsent, signal });
  if (outcome === "exists") {
    return {
      problem: new RendiffError({
        kind: "output.exists",
        publicMessage: "The output was created by somebody else meanwhile, and options.overwrite is false.",
      }),
    };
  }
  // The answer of a publish can be lost or late; what lies there decides.
  const settled = await backend.settle(step.staged, signal);
  if (settled.state === "published") return { published: { ordinal: step.ordinal, identity: settled.identity } };
  return {
    problem: new RendiffError({
      kind: "job.publish_timeout",
      publicMessage: "The verified output could not be made visible in its storage.",
      hint: "Another program may have changed or removed it; run the job again.",
    }),
  };
}

/** What cannot be published ends as failed, but only after PUBLISH_TIMEOUT: until then a successor may still manage. */
async function giveUp(
  ports: AttemptPorts,
  recorder: Recorder,
  manifest: PublishManifest,
  problem: RendiffError,
  signal: AbortSignal,
): Promise<PublishOutcome> {
  if (!(await recorder.publishOverdue())) throw problem;
  for (const { staged } of manifest.steps) await ports.storage.backend(staged.backend).abort(staged, signal);
  const outcome = await recorder.failPublishing(toFailure(problem));
  if (outcome === "failed") return { outcome: "failed", error: problem };
  if (outcome === "lost") return { outcome: "lost" };
  throw problem;
}

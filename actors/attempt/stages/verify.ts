/** FFmpeg's exit code proves nothing: every output is read and held against the plan before anyone can see it. */
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { RendiffError } from "../../../src/errors.ts";
import { missesOf } from "../../../src/media/measure/policy.ts";
import type { Plan } from "../../../src/media/types.ts";
import { requireUnchanged } from "../../../src/storage/same-object.ts";
import { type AttemptContext, type Held, held, LEASE_LOST, type VerifiedOutput } from "../attempt.types.ts";
import { fewAtOnce } from "../few-at-once.ts";
import type { AttemptPorts } from "../ports.ts";
import type { Recorder } from "../recorder.ts";
import { workDirOf } from "../scope.ts";
import { outputPlace, runnableOf } from "../spec.ts";
import { NICENESS } from "./run-step.ts";
import { stageEarly } from "./stage-early.ts";

/** Throws `output.invalid` with the numbers that `options.verify` does not allow. */
function requirePolicy({ policy }: Plan, encode: AttemptContext["encode"], [first]: readonly VerifiedOutput[]): void {
  if (policy === undefined || first === undefined) return;
  const misses = missesOf(policy, encode?.findings ?? {}, first.media);
  if (misses.length === 0) return;
  throw new RendiffError({
    kind: "output.invalid",
    publicMessage: `The output is not what options.verify asks for: ${misses.join("; ")}.`,
    hint: "Encode with a higher quality, look at the input, or ask for less in options.verify.",
  });
}

/** Of one job: while one program starts the other reads, and a third would only take turns with them. */
const OUTPUTS_AT_ONCE = 2;
const INPUTS_AT_ONCE = 4;

export async function verify(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
  signal: AbortSignal,
): Promise<Held<readonly VerifiedOutput[]>> {
  const { claim, plan, inputs, encode, scope } = context;
  const workDir = workDirOf(scope);
  const { outputs, copiesOnly, package: packaged } = plan as Plan;
  const niceness = NICENESS[claim.job.priority];
  const comparing = fewAtOnce(inputs, INPUTS_AT_ONCE, ({ ref, identity }) =>
    requireUnchanged(ports.storage.backend(ref.backend), ref.key, identity, signal),
  );
  const spec = runnableOf(claim.job, ports.storage);
  const reading = fewAtOnce(outputs, OUTPUTS_AT_ONCE, async (output): Promise<VerifiedOutput> => {
    const { content } = output;
    if (content !== undefined) return { output, media: await ports.tools.writeContent(output, content, workDir) };
    const backend = ports.storage.backend(outputPlace(spec.output, output.name).backend);
    // Not needed to tell whether it is good, and done by the time that is told.
    const preparing = backend.prepare?.(join(workDir, output.file), signal);
    const verifying = ports.tools.verify(output, { workDir, copied: copiesOnly, niceness, signal });
    await Promise.allSettled([preparing, verifying]);
    return { output, media: await verifying, prepared: (await preparing) ?? null };
  });
  // A turn later, since on the embedded database a statement holds up all else, and the programs are started first.
  const staging = turn().then(() => stageEarly(ports, recorder, context, signal));
  await Promise.allSettled([comparing, reading, staging]);
  // An input that changed says why an output is not as planned.
  await comparing;
  const verified = await reading;
  if (!(await staging)) return LEASE_LOST;
  requirePolicy(plan as Plan, encode, verified);
  if (packaged !== undefined) {
    const key = encode?.contentKey ?? null;
    verified.push(...(await ports.tools.finishPackage(packaged, { workDir, niceness, signal, key })));
  }
  return held(verified);
}

/** FFmpeg's exit code proves nothing: every output is read and held against the plan before anyone can see it. */
import { RendiffError } from "../../../src/errors.ts";
import type { JobId } from "../../../src/jobs/types.ts";
import type { PackagePlan, Plan } from "../../../src/media/types.ts";
import { requireUnchanged } from "../../../src/storage/same-object.ts";
import { type AttemptContext, type Held, held, type VerifiedOutput } from "../attempt.types.ts";
import type { AttemptPorts, ContentKey } from "../ports.ts";

import { workDirOf } from "../scope.ts";
import { NICENESS } from "./encode.ts";

/** AES-128. */
const KEY_BYTES = 16;

export async function verify(
  ports: AttemptPorts,
  { claim, plan, inputs, scope }: AttemptContext,
  signal: AbortSignal,
): Promise<Held<readonly VerifiedOutput[]>> {
  for (const { ref, identity } of inputs) {
    await requireUnchanged(ports.storage.backend(ref.backend), ref.key, identity, signal);
  }
  const workDir = workDirOf(scope);
  const verified: VerifiedOutput[] = [];
  const { outputs, copiesOnly, package: packaged } = plan as Plan;
  const niceness = NICENESS[claim.job.priority];
  for (const output of outputs) {
    const { content } = output;
    const media =
      content === undefined
        ? await ports.tools.verify(output, { workDir, copied: copiesOnly, niceness, signal })
        : await ports.tools.writeContent(output, content, workDir);
    verified.push({ output, media });
  }
  if (packaged !== undefined) {
    const makeKey = () => keyOf(ports, claim.lease.jobId, packaged);
    verified.push(...(await ports.tools.finishPackage(packaged, { workDir, niceness, signal, makeKey })));
  }
  return held(verified);
}

/** A key of this attempt's own: at the client's URI it is one more output, else this server serves it. */
async function keyOf({ keepKey }: AttemptPorts, jobId: JobId, plan: PackagePlan): Promise<ContentKey> {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  if (plan.keyUri !== null) return { bytes, uri: plan.keyUri };
  if (keepKey === null || plan.keyBase === null) {
    throw new RendiffError({
      kind: "plan.unsupported",
      publicMessage: "Nobody serves keys here; give key_uri, what players will fetch the key from.",
    });
  }
  return { bytes, uri: `${plan.keyBase}${await keepKey(jobId, bytes)}` };
}

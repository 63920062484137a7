/** FFmpeg's exit code proves nothing: every output is read and held against the plan before anyone can see it. */
import type { MediaInfo, Plan } from "../../../src/media/types.ts";
import { requireUnchanged } from "../../../src/storage/same-object.ts";
import { type AttemptContext, type Held, held } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";

import { workDirOf } from "../scope.ts";
import { NICENESS } from "./encode.ts";

export async function verify(
  ports: AttemptPorts,
  { claim, plan, inputs, scope }: AttemptContext,
  signal: AbortSignal,
): Promise<Held<readonly MediaInfo[]>> {
  for (const { ref, identity } of inputs) {
    await requireUnchanged(ports.storage.backend(ref.backend), ref.key, identity, signal);
  }
  const workDir = workDirOf(scope);
  const verified: MediaInfo[] = [];
  const { outputs, copiesOnly } = plan as Plan;
  const niceness = NICENESS[claim.job.priority];
  for (const output of outputs) {
    verified.push(await ports.tools.verify(output, { workDir, copied: copiesOnly, niceness, signal }));
  }
  return held(verified);
}

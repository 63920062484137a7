/** One probe per input, shared by everything that follows. */
import type { MediaInfo } from "../../../src/media/types.ts";
import { type AttemptContext, type Held, held } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import { workDirOf } from "../scope.ts";
import { runnableOf } from "../spec.ts";
import { keyframesOf } from "./plan.ts";

export async function probe(
  ports: AttemptPorts,
  { claim, inputs, scope }: AttemptContext,
  signal: AbortSignal,
): Promise<Held<readonly MediaInfo[]>> {
  const workDir = workDirOf(scope);
  const media: MediaInfo[] = [];
  const spec = runnableOf(claim.job, ports.storage);
  for (const { file, readOnly, ref } of inputs) {
    const asked = (info: MediaInfo) => keyframesOf(ports, spec, file, info);
    media.push(await ports.tools.probe(file, { workDir, readOnly, kind: ref.kind, signal, keyframesFor: asked }));
  }
  return held(media);
}

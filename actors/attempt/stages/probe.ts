/** One probe per input, shared by everything that follows. */
import type { MediaInfo } from "../../../src/media/types.ts";
import { type AttemptContext, type Held, held } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import { workDirOf } from "../scope.ts";

export async function probe(
  ports: AttemptPorts,
  { inputs, scope }: AttemptContext,
  signal: AbortSignal,
): Promise<Held<readonly MediaInfo[]>> {
  const workDir = workDirOf(scope);
  const media: MediaInfo[] = [];
  for (const { file, readOnly, ref } of inputs) {
    media.push(await ports.tools.probe(file, { workDir, readOnly, kind: ref.kind, signal }));
  }
  return held(media);
}

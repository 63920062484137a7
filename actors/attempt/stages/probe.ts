/**
 * One probe per input, shared by everything that follows. Of an input that may be streamed only its ends are there; where they
 * say too little of a stream, more is fetched, in the end the whole.
 */
import type { MediaInfo } from "../../../src/media/types.ts";
import { probeGrowing } from "../../../src/transfer/probe-growing.ts";
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
  for (const { file, readOnly, ref, remote } of inputs) {
    const keyframesFor = (info: MediaInfo) => keyframesOf(ports, spec, file, info);
    const at = { workDir, readOnly, kind: ref.kind, signal };
    const look = (): Promise<MediaInfo> => ports.tools.probe(file, { ...at, keyframesFor });
    if (remote === null || remote.isWhole()) media.push(await look());
    else {
      const glance = (): Promise<MediaInfo> => ports.tools.probe(file, at);
      const fetchWhole = (): Promise<void> => remote.complete(signal);
      media.push(await probeGrowing({ remote, glance, look, fetchWhole, keyframesFor, signal }));
    }
  }
  return held(media);
}

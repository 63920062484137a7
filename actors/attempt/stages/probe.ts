/**
 * At most one probe per input, shared by everything that follows: none where it is known what the object holds. Of an input that may be streamed only its ends are there; where they
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
  for (const { file, readOnly, ref, remote, identity } of inputs) {
    const keyframesFor = (info: MediaInfo) => keyframesOf(ports, spec, file, info);
    const at = { workDir, readOnly, kind: ref.kind, signal };
    const look = (): Promise<MediaInfo> => ports.tools.probe(file, { ...at, keyframesFor });
    const find = async (): Promise<MediaInfo> => {
      if (remote === null || remote.isWhole()) return await look();
      const glance = (): Promise<MediaInfo> => ports.tools.probe(file, at);
      const fetchWhole = (): Promise<void> => remote.complete(signal);
      return await probeGrowing({ remote, glance, look, fetchWhole, keyframesFor, signal });
    };
    if (ref.kind !== "media") media.push(await find());
    else {
      const { type } = ports.storage.backend(ref.backend).properties;
      media.push(await ports.probes.through({ ref, type, identity }, keyframesFor, find));
    }
  }
  return held(media);
}

/** What the front end asks of FFmpeg: probes and plans, with the same code that attempts run. */

import { join } from "node:path";
import { toRunnable } from "../../actors/attempt/spec.ts";
import { requireInput } from "../../actors/attempt/stages/download.ts";
import { keyframesOf, planOf } from "../../actors/attempt/stages/plan.ts";
import type { MediaService } from "../../plugins/context.ts";
import { RendiffError } from "../errors.ts";
import type { KeyframesFor } from "../ffmpeg/probe.ts";
import type { Layout } from "../media/layout.ts";
import type { InputKind } from "../media/operations/references.ts";
import { withTransfers } from "../media/transfers.ts";
import type { MediaInfo, MediaLimits } from "../media/types.ts";
import type { ObjectRef, StorageBackend, StorageRegistry } from "../storage/port.ts";
import { probeGrowing } from "../transfer/probe-growing.ts";
import { layoutOf, openRemote } from "../transfer/remote-input.ts";
import { inputFile } from "../work-folders/place-input.ts";
import { makeEstimates } from "./estimates.ts";
import type { Media } from "./media-tools.ts";

export interface MediaServicePorts {
  readonly media: Media;
  readonly storage: StorageRegistry;
  readonly limits: MediaLimits;
  readonly threads: number;
}

interface Look {
  readonly kind: InputKind;
  readonly signal: AbortSignal;
  readonly keyframesFor?: KeyframesFor;
}

interface Looked {
  readonly media: MediaInfo;
  /** Null: it lies on this machine. */
  readonly layout: Layout | null;
}

export function makeMediaService({ media, storage, limits, threads }: MediaServicePorts): MediaService {
  /** As an attempt looks at it: both ends, and more only where they say too little. */
  async function lookAt(backend: StorageBackend, key: string, { kind, signal, keyframesFor }: Look): Promise<Looked> {
    const stat = requireInput(await backend.stat(key, signal), kind, limits);
    return await media.inScratch(async (folder, reserve) => {
      const path = join(folder, "object");
      const remote = await openRemote({ backend, key, stat, path, signal, reserve });
      const glance = (): Promise<MediaInfo> => media.probe(path, kind, signal);
      const look = (): Promise<MediaInfo> => media.probe(path, kind, signal, keyframesFor);
      const fetchWhole = (): Promise<void> => remote.complete(signal);
      if (!remote.layout.streams || kind !== "media") await fetchWhole();
      const found = await probeGrowing({ remote, glance, look, fetchWhole, keyframesFor, signal });
      return { media: found, layout: layoutOf(remote) };
    });
  }

  async function probe({ backend, key }: ObjectRef, look: Look): Promise<Looked> {
    const { kind, signal, keyframesFor } = look;
    const store = storage.backend(backend);
    if (!store.properties.inPlace) return await lookAt(store, key, look);
    const path = await store.localPath(key);
    if (path === null) {
      throw new RendiffError({ kind: "input.not_found", publicMessage: "The input does not exist." });
    }
    return { media: await media.probe(path, kind, signal, keyframesFor), layout: null };
  }

  return {
    probe: async (ref, signal) => (await probe(ref, { kind: "media", signal })).media,
    async plan(spec, signal) {
      const runnable = toRunnable(spec, storage);
      const ports = { capabilities: media.capabilities, limits, threads };
      const inputs: (Looked & { readonly file: string })[] = [];
      // One after another, as an attempt does: a request starts one program at a time, and none after it has failed.
      for (const [index, ref] of runnable.inputs.entries()) {
        const file = inputFile(index);
        const keyframesFor = (info: MediaInfo) => keyframesOf(ports, runnable, file, info);
        inputs.push({ file, ...(await probe(ref, { kind: ref.kind, signal, keyframesFor })) });
      }
      return withTransfers(planOf(ports, runnable, inputs), inputs);
    },
    estimate: makeEstimates({ media, storage, limits, threads }),
  };
}

/** What the front end asks of FFmpeg: probes and plans, with the same code that attempts run. */

import { join } from "node:path";
import { toRunnable } from "../../actors/attempt/spec.ts";
import { requireInput } from "../../actors/attempt/stages/download.ts";
import { keyframesOf, planOf } from "../../actors/attempt/stages/plan.ts";
import type { MediaService } from "../../plugins/context.ts";
import { RendiffError } from "../errors.ts";
import type { KeyframesFor } from "../ffmpeg/probe.ts";
import type { InputKind } from "../media/operations/references.ts";
import type { MediaInfo, MediaLimits } from "../media/types.ts";
import type { ObjectRef, StorageBackend, StorageRegistry } from "../storage/port.ts";
import { download } from "../transfer/download.ts";
import { inputFile } from "../work-folders/place-input.ts";
import type { Media } from "./media-tools.ts";

export interface MediaServicePorts {
  readonly media: Media;
  readonly storage: StorageRegistry;
  readonly limits: MediaLimits;
  readonly threads: number;
}

export function makeMediaService({ media, storage, limits, threads }: MediaServicePorts): MediaService {
  async function probeRemote(
    backend: StorageBackend,
    key: string,
    kind: InputKind,
    signal: AbortSignal,
    keyframesFor?: KeyframesFor,
  ): Promise<MediaInfo> {
    const stat = requireInput(await backend.stat(key, signal), limits);
    return await media.inScratch(async (folder) => {
      const path = join(folder, "object");
      await download({ backend, key, stat, path, signal });
      return await media.probe(path, kind, signal, keyframesFor);
    });
  }

  async function probe(
    { backend, key }: ObjectRef,
    kind: InputKind,
    signal: AbortSignal,
    keyframesFor?: KeyframesFor,
  ): Promise<MediaInfo> {
    const store = storage.backend(backend);
    if (!store.properties.inPlace) return await probeRemote(store, key, kind, signal, keyframesFor);
    const path = await store.localPath(key);
    if (path === null) {
      throw new RendiffError({ kind: "input.not_found", publicMessage: "The input does not exist." });
    }
    return media.probe(path, kind, signal, keyframesFor);
  }
  return {
    probe: (ref, signal) => probe(ref, "media", signal),
    async plan(spec, signal) {
      const runnable = toRunnable(spec, storage);
      const ports = { capabilities: media.capabilities, limits, threads };
      const inputs = await Promise.all(
        runnable.inputs.map(async (ref, index) => {
          const file = inputFile(index);
          const asked = (info: MediaInfo) => keyframesOf(ports, runnable, file, info);
          return { file, media: await probe(ref, ref.kind, signal, asked) };
        }),
      );
      return planOf(ports, runnable, inputs);
    },
  };
}

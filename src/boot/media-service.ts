/** What the front end asks of FFmpeg: probes and plans, with the same code that attempts run. */

import { toRunnable } from "../../actors/attempt/spec.ts";
import { planOf } from "../../actors/attempt/stages/plan.ts";
import type { MediaService } from "../../plugins/context.ts";
import { RendiffError } from "../errors.ts";
import type { MediaInfo, MediaLimits } from "../media/types.ts";
import type { ObjectRef, StorageRegistry } from "../storage/port.ts";
import { inputFile } from "../work-folders/place-input.ts";
import type { Media } from "./media-tools.ts";

export interface MediaServicePorts {
  readonly media: Media;
  readonly storage: StorageRegistry;
  readonly limits: MediaLimits;
  readonly threads: number;
}

export function makeMediaService({ media, storage, limits, threads }: MediaServicePorts): MediaService {
  async function probe({ backend, key }: ObjectRef, signal: AbortSignal): Promise<MediaInfo> {
    const store = storage.backend(backend);
    if (!store.properties.inPlace) {
      throw new RendiffError({
        kind: "request.unsupported",
        publicMessage: `Files in ${backend} cannot be looked at without a job in this version, only converted.`,
      });
    }
    const path = await store.localPath(key);
    if (path === null) {
      throw new RendiffError({ kind: "input.not_found", publicMessage: "The input does not exist." });
    }
    return media.probe(path, signal);
  }
  return {
    probe,
    async plan(spec, signal) {
      const runnable = toRunnable(spec, storage);
      const inputs = await Promise.all(
        runnable.inputs.map(async (ref, index) => ({ file: inputFile(index), media: await probe(ref, signal) })),
      );
      return planOf({ capabilities: media.capabilities, limits, threads }, runnable, inputs);
    },
  };
}

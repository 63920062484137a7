/** What the front end asks of FFmpeg: probes and plans, with the same code that attempts run. */

import { join } from "node:path";
import { toRunnable } from "../../actors/attempt/spec.ts";
import { requireInput } from "../../actors/attempt/stages/download.ts";
import { keyframesOf, planOf } from "../../actors/attempt/stages/plan.ts";
import type { MediaService } from "../../plugins/context.ts";
import { RendiffError } from "../errors.ts";
import type { KeyframesFor } from "../ffmpeg/probe.ts";
import type { ProbeCache, ProbedObject } from "../ffmpeg/probe-cache.ts";
import type { Layout } from "../media/layout.ts";
import type { InputKind } from "../media/operations/references.ts";
import { withTransfers } from "../media/transfers.ts";
import type { MediaInfo, MediaLimits } from "../media/types.ts";
import type { ObjectRef, ObjectStat, StorageBackend, StorageRegistry } from "../storage/port.ts";
import { probeGrowing } from "../transfer/probe-growing.ts";
import { layoutOf, openRemote } from "../transfer/remote-input.ts";
import { inputFile } from "../work-folders/place-input.ts";
import { makeEstimates } from "./estimates.ts";
import type { Media } from "./media-tools.ts";

export interface MediaServicePorts {
  readonly media: Media;
  readonly storage: StorageRegistry;
  readonly probes: ProbeCache;
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

interface Remote {
  readonly backend: StorageBackend;
  readonly ref: ObjectRef;
  readonly stat: ObjectStat;
}

const objectOf = ({ backend, ref, stat }: Remote): ProbedObject => {
  const { identity } = stat;
  return { ref: { backend: ref.backend, key: ref.key }, type: backend.properties.type, identity };
};

export function makeMediaService(parts: MediaServicePorts): MediaService {
  const { media, storage, probes, limits, threads } = parts;
  /** As an attempt looks at it: both ends, and more only where they say too little. */
  async function lookAt(object: Remote, { kind, signal, keyframesFor }: Look, known: ProbeCache): Promise<Looked> {
    const { backend, stat, ref } = object;
    return await media.inScratch(async (folder, reserve) => {
      const path = join(folder, "object");
      const remote = await openRemote({ backend, key: ref.key, stat, path, signal, reserve });
      const glance = (): Promise<MediaInfo> => media.probe(path, kind, signal);
      const look = (): Promise<MediaInfo> => media.probe(path, kind, signal, keyframesFor);
      const fetchWhole = (): Promise<void> => remote.complete(signal);
      if (!remote.layout.streams || kind !== "media") await fetchWhole();
      const find = () => probeGrowing({ remote, glance, look, fetchWhole, keyframesFor, signal });
      const found = kind === "media" ? await known.through(objectOf(object), keyframesFor, find) : await find();
      return { media: found, layout: layoutOf(remote) };
    });
  }

  async function lookInPlace(backend: StorageBackend, ref: ObjectRef, look: Look): Promise<MediaInfo> {
    const { kind, signal, keyframesFor } = look;
    const path = await backend.localPath(ref.key);
    // Before it is read: one that is replaced meanwhile is kept under what is no longer there.
    const stat = path === null ? null : await backend.stat(ref.key, signal);
    if (path === null || stat === null) {
      throw new RendiffError({ kind: "input.not_found", publicMessage: "The input does not exist." });
    }
    const find = () => media.probe(path, kind, signal, keyframesFor);
    return kind === "media" ? await probes.through(objectOf({ backend, ref, stat }), keyframesFor, find) : await find();
  }

  async function remoteOf(backend: StorageBackend, ref: ObjectRef, { kind, signal }: Look): Promise<Remote> {
    return { backend, ref, stat: requireInput(await backend.stat(ref.key, signal), kind, limits) };
  }

  /** What a plan has to know of an input. */
  async function inputOf(ref: ObjectRef, look: Look): Promise<Looked> {
    const backend = storage.backend(ref.backend);
    if (!backend.properties.inPlace) return await lookAt(await remoteOf(backend, ref, look), look, probes);
    return { media: await lookInPlace(backend, ref, look), layout: null };
  }

  return {
    async probe(ref, signal) {
      const look: Look = { kind: "media", signal };
      const backend = storage.backend(ref.backend);
      if (backend.properties.inPlace) return await lookInPlace(backend, ref, look);
      const remote = await remoteOf(backend, ref, look);
      // Nothing is fetched of what is known.
      return await probes.through(objectOf(remote), undefined, async () => {
        const asked: ProbeCache = { through: (_, __, find) => find() };
        return (await lookAt(remote, look, asked)).media;
      });
    },
    async plan(spec, signal) {
      const runnable = toRunnable(spec, storage);
      const ports = { capabilities: media.capabilities, limits, threads };
      const inputs: (Looked & { readonly file: string })[] = [];
      // One after another, as an attempt does: a request starts one program at a time, and none after it has failed.
      for (const [index, ref] of runnable.inputs.entries()) {
        const file = inputFile(index);
        const keyframesFor = (info: MediaInfo) => keyframesOf(ports, runnable, file, info);
        inputs.push({ file, ...(await inputOf(ref, { kind: ref.kind, signal, keyframesFor })) });
      }
      return withTransfers(planOf(ports, runnable, inputs), inputs);
    },
    estimate: makeEstimates(parts),
  };
}

/**
 * What was found in an object, kept for as long as it is likely to be asked for again: a client looks at a file, asks for a
 * plan, and converts it, often more than once.
 *
 * Kept by the object's place and identity (its ETag, or inode, size and date), so that nobody is told of bytes that are no
 * longer there, and with all that decides what a probe finds or refuses. Only what was found is kept, never a refusal.
 */
import { type Cache, names } from "../coordination/ports.ts";
import type { Capabilities, MediaInfo, MediaLimits } from "../media/types.ts";
import type { BackendProperties, ObjectRef } from "../storage/port.ts";
import { VERSION } from "../version.ts";
import type { KeyframesFor } from "./probe.ts";

const TTL_MS = 600_000;
/** A file with more to tell (thousands of chapters) is probed each time. */
const LENGTH_MAX = 32_768;

export interface ProbedObject {
  readonly ref: ObjectRef;
  readonly type: BackendProperties["type"];
  readonly identity: string;
}

export interface ProbeCache {
  /**
   * What is known of the object, else what `probe` finds, which is kept. A look at its keyframes is always a new one. Rejects
   * only as `probe` does.
   */
  through(
    object: ProbedObject,
    keyframesFor: KeyframesFor | undefined,
    probe: () => Promise<MediaInfo>,
  ): Promise<MediaInfo>;
}

/** A web server's date and length can be those of the bytes before; its strong ETag cannot. */
const isCertain = ({ type, identity }: ProbedObject): boolean => type !== "http" || identity.startsWith('"');

const digestOf = (what: unknown): string => new Bun.CryptoHasher("sha256").update(JSON.stringify(what)).digest("hex");

export function makeProbeCache(
  cache: Cache,
  { capabilities, limits }: { readonly capabilities: Capabilities; readonly limits: MediaLimits },
): ProbeCache {
  const { ffprobeVersion, demuxers, decoders, inputFormats } = capabilities;
  const prober = digestOf([VERSION, ffprobeVersion, demuxers, decoders, inputFormats, limits]);
  const nameOf = ({ ref, identity }: ProbedObject): string =>
    names.probe(digestOf([ref.backend, ref.key, identity, prober]));
  const read = async (name: string): Promise<MediaInfo | null> => {
    // Without the cache everything is probed.
    const text = await cache.get(name).catch(() => null);
    return text === null ? null : (JSON.parse(text) as MediaInfo);
  };
  return {
    async through(object, keyframesFor, probe) {
      if (!isCertain(object)) return await probe();
      const name = nameOf(object);
      const known = await read(name);
      if (known !== null && (keyframesFor?.(known) ?? null) === null) return known;
      const found = await probe();
      if (known === null) {
        const { keyframes: _, ...media } = found;
        const text = JSON.stringify(media);
        // Nobody waits for it.
        if (text.length <= LENGTH_MAX) void cache.set(name, text, TTL_MS).catch(() => {});
      }
      return found;
    },
  };
}

/** Probes an input of which only the ends are there, and fetches more until they say enough. */
import { isFullyProbed } from "../media/transfers.ts";
import type { MediaInfo } from "../media/types.ts";
import type { RemoteInput } from "./remote-input.ts";

export interface ProbeGrowing {
  readonly remote: RemoteInput;
  /** What a part can say. */
  glance(): Promise<MediaInfo>;
  /** What only the whole can say: its keyframes as well, where they are asked for. */
  look(): Promise<MediaInfo>;
  /** Makes the input whole. */
  fetchWhole(): Promise<void>;
  /** Null when the job asks for no keyframes. */
  readonly keyframesFor?: ((media: MediaInfo) => unknown) | undefined;
  readonly signal: AbortSignal;
}

/** What the prober itself would read at most; beyond it only the whole can say more. */
const LOOK_BYTES_MAX = 20_000_000;

export async function probeGrowing(request: ProbeGrowing): Promise<MediaInfo> {
  const { remote, signal } = request;
  while (!remote.isWhole() && remote.fetchedBytes() < LOOK_BYTES_MAX) {
    // An error may be the hole's fault.
    const media = await request.glance().catch(() => null);
    signal.throwIfAborted();
    if (media !== null && isFullyProbed(media)) {
      if ((request.keyframesFor?.(media) ?? null) === null) return media;
      break;
    }
    await remote.grow(signal);
  }
  if (!remote.isWhole()) await request.fetchWhole();
  return await request.look();
}

/** A probed input against the operator's limits. */
import { RendiffError } from "../errors.ts";
import type { MediaInfo, MediaLimits } from "./types.ts";

/** Whether a picture fits in either orientation. */
function fits(width: number, height: number, limits: MediaLimits): boolean {
  const long = Math.max(limits.maxWidth, limits.maxHeight);
  const short = Math.min(limits.maxWidth, limits.maxHeight);
  return Math.max(width, height) <= long && Math.min(width, height) <= short;
}

function problemOf(media: MediaInfo, limits: MediaLimits): string | null {
  if (media.streams.length > limits.maxStreams) {
    return `The input has ${media.streams.length} streams; ${limits.maxStreams} are allowed.`;
  }
  if (media.durationSeconds !== null && media.durationSeconds > limits.maxDurationSeconds) {
    return `The input is ${Math.ceil(media.durationSeconds)} seconds long; ${limits.maxDurationSeconds} are allowed.`;
  }
  for (const stream of media.streams) {
    if (stream.kind !== "video" || fits(stream.width, stream.height, limits)) continue;
    return `The input's picture is ${stream.width}x${stream.height}; ${limits.maxWidth}x${limits.maxHeight} is allowed.`;
  }
  // Pictures and short pieces have absurd rates that cost nothing.
  const rate = media.durationSeconds !== null && media.durationSeconds >= 1 ? media.bitrate : null;
  if (rate !== null && rate > limits.maxBitrate) {
    return `The input has ${rate} bits a second; ${limits.maxBitrate} are allowed.`;
  }
  return null;
}

/** Null when the input is within the limits. */
export function checkInputLimits(media: MediaInfo, limits: MediaLimits): RendiffError | null {
  if (media.sizeBytes !== null && media.sizeBytes > limits.maxInputBytes) {
    return new RendiffError({
      kind: "input.too_large",
      publicMessage: `The input has ${media.sizeBytes} bytes; ${limits.maxInputBytes} are allowed.`,
    });
  }
  const publicMessage = problemOf(media, limits);
  return publicMessage === null ? null : new RendiffError({ kind: "limit.exceeded", publicMessage });
}

/**
 * What a step may take: address space for its limit and for admission, bytes for its limit and for the space reservation.
 *
 * Memory grows with pixels and threads; the figures were measured with `prlimit --as` (1080p and 4K on 2 threads, MB: x264
 * 976/1842, x265 1122/2095, SVT-AV1 2766/4922 with FFmpeg 5.1; 1446/2104, 1551/2319, 1753/2977 with 9.0; x264 with 64
 * threads 5.2 GB; with the fastest presets VP9 990/1749, ProRes 838/1065, MPEG-2 801/868, a copy 290 at most). Below its need an encoder may hang instead of failing, so the models lie above all of them.
 */

import type { VideoSettings } from "../encoders/video-encoder.ts";
import type { MediaLimits } from "../types.ts";
import type { PlanContext } from "./context.ts";
import type { MemoryUse } from "./output.ts";
import type { VideoEncode } from "./video-choice.ts";

const MB = 1_000_000;
/** The program, its libraries, demuxers and muxers. */
const PROGRAM_MB = 600;
/** The same without decoders, filters and encoders, each of which brings threads of its own. */
const COPYING_MB = 350;
/** A decoder keeps reference frames and one frame per thread. */
const DECODER_PER_MEGAPIXEL_MB = 15;
const DECODER_PER_THREAD_MB = 10;
const HEADROOM = 1.2;

/** Of one track of sound or subtitles that is decoded and encoded. */
export const TRACK_MEMORY: MemoryUse = {
  model: { baseMb: 100, perMegapixelMb: 0, perThreadMb: 20, perThreadMegapixelMb: 0 },
  megapixels: 0,
};

/**
 * Of one more file that is open at once, beside its picture: a demuxer and decoders with threads of their own (measured on
 * 30 and 100 files: 22 MB of address space each with one thread, 69 MB with four). Fades hold what decoders and filters of
 * every file have ready, at most 90 MB for a megapixel whatever its length.
 */
export const openedMemory = (fadedMegapixels: number): MemoryUse => ({
  model: { baseMb: 20, perMegapixelMb: 200, perThreadMb: 40, perThreadMegapixelMb: 0 },
  megapixels: fadedMegapixels,
});

/** Of frames or samples that filters hold. */
export const heldMemory = (bytes: number): MemoryUse[] =>
  bytes === 0
    ? []
    : [
        {
          model: { baseMb: (2 * bytes) / MB, perMegapixelMb: 0, perThreadMb: 0, perThreadMegapixelMb: 0 },
          megapixels: 0,
        },
      ];

export function memoryBytesMax(uses: readonly MemoryUse[], inputMegapixels: number, threads: number): number {
  if (uses.length === 0 && inputMegapixels === 0) return Math.ceil(COPYING_MB * HEADROOM) * MB;
  const encoders = uses.map(
    ({ model, megapixels }) =>
      model.baseMb +
      model.perMegapixelMb * megapixels +
      threads * (model.perThreadMb + model.perThreadMegapixelMb * megapixels),
  );
  const [first = 0, ...others] = encoders.sort((a, b) => b - a);
  // The base of each counts its libraries, which all of them share.
  const sum = first + others.reduce((total, one) => total + one / 2, 0);
  const decoder = DECODER_PER_MEGAPIXEL_MB * inputMegapixels * (1 + threads / 4) + DECODER_PER_THREAD_MB * threads;
  return Math.ceil((PROGRAM_MB + sum + decoder) * HEADROOM) * MB;
}

/** Headers, indexes, tags: for each output, and for each second of it. */
const CONTAINER_BYTES = 2 * MB;
const CONTAINER_BYTES_PER_SECOND = 4_000;

export interface StreamBits {
  /** Bits per second that are not exceeded in ordinary films. */
  readonly likely: number;
  /** Bits per second that nothing exceeds. */
  readonly most: number;
}

/** Rate control keeps a bitrate over the film; constant quality is bounded by what its pixels can need. */
export function videoBits(encode: VideoEncode, pixels: number, fps: number, limits: MediaLimits): StreamBits {
  const settings: VideoSettings = encode.settings;
  if (settings.maxBitrate !== null) return { likely: settings.maxBitrate * 1.1, most: settings.maxBitrate * 2 };
  if (settings.bitrate !== null && settings.crf === null)
    return { likely: settings.bitrate * 1.3, most: settings.bitrate * 4 };
  const natural = encode.encoder.bitsPerPixelMax(settings) * pixels * fps;
  return { likely: Math.min(natural, Math.max(limits.maxBitrate, natural / 8)), most: natural * 8 + 8 * MB };
}

/** Bytes of a file of these streams; a film of unknown length is taken for the longest that is allowed, within reason. */
export function fileBytes(bitsPerSecond: number, durationSeconds: number): number {
  return Math.ceil(
    (bitsPerSecond / 8) * durationSeconds * 1.05 + CONTAINER_BYTES + CONTAINER_BYTES_PER_SECOND * durationSeconds,
  );
}

/** A copied stream is no larger in its new container than its whole source, give or take the container. */
export const copiedBytes = (sourceBytes: number, durationSeconds: number): number =>
  Math.ceil(sourceBytes * 1.1 + CONTAINER_BYTES + CONTAINER_BYTES_PER_SECOND * durationSeconds);

/** What is taken for the length of a film that does not state one: what its bytes last at a low rate. */
export const assumedSeconds = ({ source, limits }: PlanContext): number =>
  Math.min(limits.maxDurationSeconds, Math.max(60, ((source.media.sizeBytes ?? 0) * 8) / 200_000));

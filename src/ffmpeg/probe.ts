/** A file's MediaInfo, found by its content: whatever it is named, it is opened by a closed list of formats only. */
import { stat } from "node:fs/promises";
import { RendiffError } from "../errors.ts";
import { parseMediaInfo } from "../media/media-info.ts";
import { checkInputLimits } from "../media/media-info-limits.ts";
import type { MediaInfo, MediaLimits } from "../media/types.ts";
import type { ProcessRunner } from "../process/port.ts";
import { runFfprobe } from "./ffprobe.ts";
import { type KeyframeRequest, readKeyframes } from "./keyframes.ts";
import type { MediaTools } from "./tools.ts";

export const PROBE_TIMEOUT_MS = 30_000;

export interface ProbeRequest {
  readonly runner: ProcessRunner;
  readonly tools: MediaTools;
  /** Absolute path, as ffprobe sees it: FFmpeg guesses by extensions too, so it should have none. */
  readonly file: string;
  /** Where the bytes lie, when that is elsewhere; absolute. */
  readonly source?: string;
  /** `capabilities.inputFormats`. */
  readonly inputFormats: readonly string[];
  /** The operator's limits; null for a file of our own making. */
  readonly limits: MediaLimits | null;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Parts whose keyframes are wanted, once it is known what the file is; null for none. */
  readonly keyframesFor?: KeyframesFor | undefined;
}

export type KeyframesFor = (media: MediaInfo) => KeyframeRequest["windows"] | null;

async function assertFile(file: string): Promise<void> {
  const info = await stat(file).catch(() => null);
  const problem =
    info === null
      ? "The input does not exist."
      : !info.isFile()
        ? "The input is not a file."
        : info.size === 0
          ? "The input is empty."
          : null;
  if (problem === null) return;
  throw new RendiffError({ kind: info === null ? "input.not_found" : "input.unreadable", publicMessage: problem });
}

/** All that is known of a picture beyond `-max_pixels`: its decoder refuses it, and its stream has no size. */
const TOO_LARGE = /Picture size (\d+x\d+) (?:exceeds|is invalid)/;

/** Streams that FFmpeg could make out: with a size, a rate, a codec. */
function assertUsable(media: MediaInfo, stderr: string, limits: MediaLimits | null): void {
  const usable = media.streams.some(
    (one) =>
      (one.kind === "video" && one.width > 0 && one.height > 0) ||
      (one.kind === "audio" && one.sampleRate > 0 && one.channels > 0),
  );
  if (usable) return;
  const size = TOO_LARGE.exec(stderr)?.[1];
  if (size !== undefined && limits !== null)
    throw new RendiffError({
      kind: "limit.exceeded",
      publicMessage: `The input's picture is ${size}; ${limits.maxWidth}x${limits.maxHeight} is allowed.`,
    });
  const found = media.streams.map((one) => `${one.kind} (${one.codec})`);
  throw new RendiffError({
    kind: "input.unsupported",
    publicMessage:
      found.length === 0
        ? "The input holds no picture and no sound."
        : `The input holds no picture and no sound that can be read, only ${[...new Set(found)].join(", ")}.`,
  });
}

/**
 * Throws `input.not_found`, `input.unreadable` (damaged, empty, not media), `input.unsupported` (a format or codec that is
 * not accepted), `input.too_large` or `limit.exceeded`; never with a local path in its message. Rejects with the reason of
 * `signal` once ffprobe is dead.
 */
export async function probeFile(request: ProbeRequest): Promise<MediaInfo> {
  await assertFile(request.source ?? request.file);
  const { limits } = request;
  const run = {
    runner: request.runner,
    ffprobePath: request.tools.ffprobePath,
    file: request.file,
    ...(request.source === undefined ? {} : { source: request.source }),
    inputFormats: request.inputFormats,
    pixelsMax: limits === null ? null : limits.maxWidth * limits.maxHeight,
    timeoutMs: request.timeoutMs ?? PROBE_TIMEOUT_MS,
    signal: request.signal,
  };
  const { json, stderr } = await runFfprobe({ ...run, show: ["-show_format", "-show_streams", "-show_chapters"] });
  const media = parseMediaInfo(json);
  const refused = limits === null ? null : checkInputLimits(media, limits);
  if (refused !== null) throw refused;
  assertUsable(media, stderr, limits);
  const windows = request.keyframesFor?.(media) ?? null;
  return windows === null ? media : { ...media, keyframes: await readKeyframes({ ...run, media, windows }) };
}

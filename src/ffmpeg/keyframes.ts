/** Times of a picture's keyframes in parts of a file, read from its packets without decoding any. */
import { numberOf, recordOf, recordsOf, textOf } from "../media/media-info-fields.ts";
import type { MediaInfo } from "../media/types.ts";
import { type ProbeRun, runFfprobe } from "./ffprobe.ts";

export interface KeyframeRequest extends Omit<ProbeRun, "show"> {
  readonly media: MediaInfo;
  readonly windows: readonly { readonly start: number; readonly end: number | null }[];
}

/** Ascending, in seconds from the beginning of the file. */
export async function readKeyframes(request: KeyframeRequest): Promise<number[]> {
  const { media, windows, ...run } = request;
  const video = media.streams.find((one) => one.kind === "video" && !one.attachedPicture);
  if (video === undefined) return [];
  const at = (seconds: number): string => (media.startSeconds + seconds).toFixed(3);
  const intervals = windows.map(({ start, end }) => `${at(start)}%${end === null ? "" : at(end)}`).join(",");
  const show = ["-select_streams", String(video.index), "-show_entries", "packet=pts_time,flags"];
  const { json } = await runFfprobe({ ...run, show: [...show, "-read_intervals", intervals] });
  const times = recordsOf(recordOf(json).packets).flatMap((packet) => {
    const time = numberOf(packet.pts_time);
    return time !== null && textOf(packet.flags)?.startsWith("K") === true ? [time - media.startSeconds] : [];
  });
  return [...new Set(times.map((time) => Number(time.toFixed(6))))].sort((a, b) => a - b);
}

/** Which moments of a long output are decoded, and whether they could be. */
import { numberOf, recordOf, recordsOf } from "../media/media-info-fields.ts";
import type { MediaInfo, MediaStream } from "../media/types.ts";

const WINDOW_SECONDS = 0.5;
const END_SECONDS = 1;
/** The last picture may be shown for a while, and streams need not end together. */
const END_SLACK_SECONDS = 2;

/** ffprobe's arguments: the frames of the start, of the middle, and of the end. Each window begins at a keyframe before. */
export function sampleWindows(media: MediaInfo): readonly string[] {
  const intervals = [`%+${WINDOW_SECONDS}`];
  if (media.durationSeconds !== null) {
    const middle = media.startSeconds + media.durationSeconds / 2;
    const end = media.startSeconds + Math.max(0, media.durationSeconds - END_SECONDS);
    intervals.push(`${middle.toFixed(3)}%+${WINDOW_SECONDS}`, `${end.toFixed(3)}%`);
  }
  const entries = "frame=stream_index,pts_time,best_effort_timestamp_time";
  return ["-read_intervals", intervals.join(","), "-show_entries", entries];
}

function endOf(stream: MediaStream, media: MediaInfo): number | null {
  const seconds = stream.durationSeconds ?? media.durationSeconds;
  return seconds === null ? null : media.startSeconds + seconds;
}

/** Problems as ends of a sentence: streams without a decodable frame, pictures that stop before the end. */
export function checkSamples(media: MediaInfo, json: unknown): string[] {
  const last = new Map<number, number>();
  for (const frame of recordsOf(recordOf(json).frames)) {
    const index = numberOf(frame.stream_index);
    const time = numberOf(frame.pts_time) ?? numberOf(frame.best_effort_timestamp_time) ?? Number.NEGATIVE_INFINITY;
    if (index !== null) last.set(index, Math.max(last.get(index) ?? Number.NEGATIVE_INFINITY, time));
  }
  const problems: string[] = [];
  for (const stream of media.streams) {
    if ((stream.kind !== "video" && stream.kind !== "audio") || (stream.kind === "video" && stream.attachedPicture)) {
      continue;
    }
    const reached = last.get(stream.index);
    const end = endOf(stream, media);
    if (reached === undefined) problems.push(`nothing of stream ${stream.index} can be decoded`);
    else if (
      stream.kind === "video" &&
      end !== null &&
      reached < end - END_SLACK_SECONDS - 2 / (stream.averageFps ?? 1)
    ) {
      problems.push(`the picture stops at ${reached.toFixed(2)} of ${end.toFixed(2)} seconds`);
    }
  }
  return problems;
}

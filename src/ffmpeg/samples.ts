/** Which moments of a long output are decoded, and whether they could be. */
import { numberOf, recordOf, recordsOf } from "../media/media-info-fields.ts";
import type { MediaInfo, MediaStream } from "../media/types.ts";

const WINDOW_SECONDS = 0.5;
const END_SECONDS = 1;
/** A sound has ended when less than this is missing: what encoders add and containers hide at either end. */
const SOUND_SLACK_SECONDS = 0.15;
/** A picture is shown until the next one; the last of a slow film for long. */
const PICTURE_SLACK_SECONDS = 0.15;
const PICTURE_SLACK_FRAMES = 3;

/** What is shown of each decoded frame; 5.1 and later name the time alike, the best guess is for streams without one. */
export const FRAME_ENTRIES = "frame=stream_index,pts_time,best_effort_timestamp_time,nb_samples";

/** From where to where a film goes, as far as it is known. */
export type SampledSpan = Pick<MediaInfo, "startSeconds" | "durationSeconds">;

/** ffprobe's arguments: the frames of the start, of the middle, and of the end. Each window begins at a keyframe before. */
export function sampleWindows(film: SampledSpan): readonly string[] {
  const intervals = [`%+${WINDOW_SECONDS}`];
  if (film.durationSeconds !== null) {
    const middle = film.startSeconds + film.durationSeconds / 2;
    const end = film.startSeconds + Math.max(0, film.durationSeconds - END_SECONDS);
    intervals.push(`${middle.toFixed(3)}%+${WINDOW_SECONDS}`, `${end.toFixed(3)}%`);
  }
  return ["-read_intervals", intervals.join(","), "-show_entries", FRAME_ENTRIES];
}

/** MPEG-TS begins its clock at 1.4 s. */
const LATE_START_SECONDS = 2;

/** Whether the windows of a film from 0 to `plannedSeconds` are at the start, in the middle and at the end of this one. */
export function isSampledBy({ startSeconds, durationSeconds }: SampledSpan, plannedSeconds: number | null): boolean {
  if (durationSeconds === null || plannedSeconds === null || Math.abs(startSeconds) > LATE_START_SECONDS) return false;
  return Math.abs(durationSeconds - plannedSeconds) <= END_SECONDS / 2;
}

type Played = Exclude<MediaStream, { kind: "subtitle" | "other" }>;

/** Where the stream itself says that it ends; null where only the file as a whole says so. */
function endOf(stream: Played): number | null {
  return stream.durationSeconds === null ? null : stream.startSeconds + stream.durationSeconds;
}

function slackOf(stream: Played): number {
  if (stream.kind === "audio") return SOUND_SLACK_SECONDS;
  return PICTURE_SLACK_SECONDS + PICTURE_SLACK_FRAMES / (stream.averageFps ?? 1);
}

/** Where decoding got to in each stream, by its index. */
function reachedBy(json: unknown, streams: readonly MediaStream[]): ReadonlyMap<number, number> {
  const reached = new Map<number, number>();
  for (const frame of recordsOf(recordOf(json).frames)) {
    const index = numberOf(frame.stream_index);
    const stream = streams.find((one) => one.index === index);
    if (stream === undefined) continue;
    const time = numberOf(frame.pts_time) ?? numberOf(frame.best_effort_timestamp_time) ?? Number.NEGATIVE_INFINITY;
    const samples = stream.kind === "audio" ? (numberOf(frame.nb_samples) ?? 0) / Math.max(1, stream.sampleRate) : 0;
    reached.set(stream.index, Math.max(reached.get(stream.index) ?? Number.NEGATIVE_INFINITY, time + samples));
  }
  return reached;
}

/** Problems as ends of a sentence: streams without a decodable frame, and those that stop before their end. */
export function checkSamples(media: MediaInfo, json: unknown): string[] {
  const reached = reachedBy(json, media.streams);
  const problems: string[] = [];
  for (const stream of media.streams) {
    if (stream.kind !== "video" && stream.kind !== "audio") continue;
    if (stream.kind === "video" && (stream.attachedPicture || stream.still)) continue;
    const last = reached.get(stream.index);
    const end = endOf(stream);
    if (last === undefined) problems.push(`nothing of stream ${stream.index} can be decoded`);
    else if (end !== null && Number.isFinite(last) && last < end - slackOf(stream)) {
      problems.push(`stream ${stream.index} stops at ${last.toFixed(2)} of ${end.toFixed(2)} seconds`);
    }
  }
  return problems;
}

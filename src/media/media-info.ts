/**
 * ffprobe's JSON (`-show_format -show_streams -show_chapters`) as MediaInfo. Written for FFmpeg 5.1 to 9.0, and for files
 * that are odd or hostile: every field may be missing, `N/A`, or of another type than it should be.
 */
import { containerOf, isPictureBrand } from "./media-info-container.ts";
import { type Json, numberOf, positive, recordOf, recordsOf, tagOf, textOf } from "./media-info-fields.ts";
import { type Around, videoOf } from "./media-info-video.ts";
import type { AudioStream, MediaInfo, MediaStream, OtherStream, SubtitleStream } from "./types.ts";

const TAGS_MAX = 100;
const TAG_LENGTH_MAX = 2_000;

/** Subtitles that are text: they can be converted into each other; the others are pictures. */
const TEXT_SUBTITLES = new Set(
  "subrip srt ass ssa webvtt mov_text text ttml microdvd subviewer subviewer1 jacosub sami realtext stl mpl2 pjs vplayer".split(
    " ",
  ),
);

function baseOf(json: Json): Omit<OtherStream, "kind" | "codecType"> {
  const language = tagOf(json, "language");
  return {
    index: numberOf(json.index) ?? 0,
    codec: textOf(json.codec_name) ?? "unknown",
    profile: textOf(json.profile),
    bitrate: positive(json.bit_rate) ?? positive(tagOf(json, "BPS")) ?? positive(tagOf(json, "BPS-eng")),
    durationSeconds: positive(json.duration) ?? clockOf(tagOf(json, "DURATION") ?? tagOf(json, "DURATION-eng")),
    startSeconds: numberOf(json.start_time) ?? 0,
    language: language === null || language === "und" ? null : language,
    title: tagOf(json, "title"),
    isDefault: numberOf(recordOf(json.disposition).default) === 1,
  };
}

/** Matroska's `00:00:01.040000000`, in seconds. */
function clockOf(text: string | null): number | null {
  const parts = /^(\d+):(\d\d):(\d\d(?:\.\d+)?)$/.exec(text ?? "");
  if (parts === null) return null;
  const seconds = Number(parts[1]) * 3600 + Number(parts[2]) * 60 + Number(parts[3]);
  return seconds > 0 ? seconds : null;
}

function audioOf(json: Json): AudioStream {
  return {
    ...baseOf(json),
    kind: "audio",
    sampleRate: positive(json.sample_rate) ?? 0,
    channels: positive(json.channels) ?? 0,
    channelLayout: textOf(json.channel_layout),
    sampleFormat: textOf(json.sample_fmt),
  };
}

function subtitleOf(json: Json): SubtitleStream {
  const base = baseOf(json);
  return { ...base, kind: "subtitle", textBased: TEXT_SUBTITLES.has(base.codec) };
}

function streamOf(json: Json, around: Around, warnings: string[]): MediaStream {
  switch (json.codec_type) {
    case "video":
      return { ...baseOf(json), ...videoOf(json, around, warnings) };
    case "audio":
      return audioOf(json);
    case "subtitle":
      return subtitleOf(json);
    default:
      return { ...baseOf(json), kind: "other", codecType: textOf(json.codec_type) ?? "unknown" };
  }
}

function tagsOf(json: Json): Record<string, string> {
  const tags: Record<string, string> = {};
  for (const [name, value] of Object.entries(recordOf(json.tags)).slice(0, TAGS_MAX)) {
    // Assigned as data: a tag named __proto__ is a tag.
    const text = String(value).slice(0, TAG_LENGTH_MAX);
    Object.defineProperty(tags, name, { value: text, enumerable: true, writable: true, configurable: true });
  }
  return tags;
}

/** What begins later than this keeps the clock of something longer that it was cut out of. */
const LATE_SECONDS = 0.1;

/** FFmpeg's own Matroska files say by that clock when they and their streams end, and not how long they last. */
function lateStartOf(format: Json, demuxers: readonly string[]): number {
  const start = numberOf(format.start_time) ?? 0;
  const saysEnd = demuxers.includes("matroska") && tagOf(format, "ENCODER")?.startsWith("Lavf") === true;
  return saysEnd && start > LATE_SECONDS ? start : 0;
}

function sinceStart(stream: MediaStream, json: Json, lateSeconds: number): MediaStream {
  const { durationSeconds } = stream;
  // Only tags go by the clock.
  if (lateSeconds === 0 || durationSeconds === null || positive(json.duration) !== null) return stream;
  return { ...stream, durationSeconds: durationSeconds > lateSeconds ? durationSeconds - lateSeconds : null };
}

/** The file's own word, else its longest stream; null where neither says, and for a picture. */
function durationOf(format: Json, streams: readonly MediaStream[], lateSeconds: number): number | null {
  const said = positive(format.duration);
  if (said !== null) {
    if (lateSeconds > 0 && said > lateSeconds) return said - lateSeconds;
    // Of an mp4 that begins late FFmpeg 5.1 says when it ends, and newer ones how long it lasts.
    const start = numberOf(format.start_time) ?? 0;
    const end = Math.max(0, ...streams.map((one) => one.startSeconds + (one.durationSeconds ?? 0)));
    return start > LATE_SECONDS && said > start && Math.abs(end - said) < LATE_SECONDS ? said - start : said;
  }
  return streams.reduce<number | null>(
    (longest, { durationSeconds }) => (durationSeconds === null ? longest : Math.max(longest ?? 0, durationSeconds)),
    null,
  );
}

const isPicture = (streams: readonly MediaStream[]) => streams.some((one) => one.kind === "video" && one.still);

/** Never throws: what is not ffprobe's JSON becomes a MediaInfo without streams. */
export function parseMediaInfo(ffprobeJson: unknown): MediaInfo {
  const root = recordOf(ffprobeJson);
  const format = recordOf(root.format);
  const warnings: string[] = [];
  const demuxers = (textOf(format.format_name) ?? "").split(",").filter((name) => name !== "");
  const around = { demuxers, pictureBrand: isPictureBrand(tagOf(format, "major_brand")) };
  const late = lateStartOf(format, demuxers);
  const streams = recordsOf(root.streams).map((json) => sinceStart(streamOf(json, around, warnings), json, late));
  const picture = isPicture(streams);
  const durationSeconds = picture ? null : durationOf(format, streams, late);
  if (durationSeconds === null && !picture && streams.length > 0) {
    warnings.push("The file does not say how long it is.");
  }
  return {
    demuxers,
    container: containerOf(demuxers, format, streams),
    sizeBytes: positive(format.size),
    durationSeconds,
    startSeconds: picture ? 0 : (numberOf(format.start_time) ?? 0),
    bitrate: positive(format.bit_rate),
    tags: tagsOf(format),
    streams,
    chapters: recordsOf(root.chapters).length,
    warnings,
  };
}

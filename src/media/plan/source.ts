/** The input as the compiler looks at it: which stream is the picture, which the sound, what else there is. */
import type { Fraction } from "../operations/scalars.ts";
import type { AudioStream, MediaInfo, OtherStream, PlanInput, SubtitleStream, VideoStream } from "../types.ts";

export interface Source {
  readonly input: PlanInput;
  readonly media: MediaInfo;
  /** The main picture: never cover art. */
  readonly video: VideoStream | null;
  readonly furtherVideo: readonly VideoStream[];
  readonly audio: readonly AudioStream[];
  readonly subtitles: readonly SubtitleStream[];
  readonly covers: readonly VideoStream[];
  readonly attachments: readonly OtherStream[];
  readonly data: readonly OtherStream[];
  /** Of the whole; null when the file does not say. */
  readonly durationSeconds: number | null;
  /** Where the last frame can be counted on; the sound may go on. */
  readonly videoSeconds: number | null;
  /** A seek finds the keyframe before a time; otherwise only reading from the beginning does. */
  readonly seeksExactly: boolean;
  /** The stated duration is a guess from the bitrate. */
  readonly durationIsGuess: boolean;
}

/** Containers with an index that names keyframes. In a transport stream a seek may land between two. */
const INDEXED = new Set(["mov", "matroska", "wav"]);
/** Without an index and without a stated length, FFmpeg divides bytes by a bitrate or looks at the last timestamps. */
const GUESSED = new Set([
  "aac",
  "ac3",
  "eac3",
  "mp3",
  "mpeg",
  "mpegts",
  "h264",
  "hevc",
  "m4v",
  "mpegvideo",
  "dts",
  "flv",
]);

const byDefault = <Stream extends { readonly isDefault: boolean; readonly index: number }>(
  streams: readonly Stream[],
) => [...streams].sort((a, b) => Number(b.isDefault) - Number(a.isDefault) || a.index - b.index);

export function toSource(input: PlanInput): Source {
  const { media } = input;
  const pictures = media.streams.filter((stream) => stream.kind === "video");
  const real = byDefault(pictures.filter((stream) => !stream.attachedPicture && stream.width > 0 && stream.height > 0));
  const others = media.streams.filter((stream) => stream.kind === "other");
  const [video = null, ...furtherVideo] = real;
  const has = (names: ReadonlySet<string>): boolean => media.demuxers.some((name) => names.has(name));
  return {
    input,
    media,
    video,
    furtherVideo,
    audio: byDefault(media.streams.filter((stream) => stream.kind === "audio").filter(({ channels }) => channels > 0)),
    subtitles: media.streams.filter((stream) => stream.kind === "subtitle"),
    covers: pictures.filter((stream) => stream.attachedPicture),
    attachments: others.filter(({ codecType }) => codecType === "attachment"),
    data: others.filter(({ codecType }) => codecType !== "attachment"),
    durationSeconds: video?.still === true ? null : media.durationSeconds,
    videoSeconds: video?.durationSeconds ?? media.durationSeconds,
    seeksExactly: has(INDEXED),
    durationIsGuess: has(GUESSED),
  };
}

/** Frames per second of the picture, for sizes and grids; never zero. */
export const fpsOf = (video: VideoStream): number => {
  const rate = video.averageFps ?? video.nominalFps ?? 25;
  return rate > 0 && rate <= 1_000 ? rate : 25;
};

/** `444`, `422` or `420`, of how the colours are sampled. */
export function chromaOf(pixelFormat: string | null): string {
  const match = /(444|440|422|420|411|410)/.exec(pixelFormat ?? "");
  if (match !== null) return match[1] ?? "420";
  return /^(rgb|bgr|gbr|argb|abgr|rgba|bgra|gray|pal8|ya)/.test(pixelFormat ?? "") ? "444" : "420";
}

/** The rate of the picture as a fraction: the usual ones exactly, others to a thousandth. */
export function rateOf(video: VideoStream): Fraction {
  const fps = fpsOf(video);
  const ntsc = Math.round((fps * 1_001) / 1_000);
  if (Math.abs(fps - Math.round(fps)) < 0.000_5) return { num: Math.round(fps), den: 1 };
  if (Math.abs((ntsc * 1_000) / 1_001 - fps) < 0.000_5) return { num: ntsc * 1_000, den: 1_001 };
  return { num: Math.round(fps * 1_000), den: 1_000 };
}

/** Of the whole, and of its picture. */
export const lengthsOf = ({ durationSeconds, videoSeconds }: Source) => ({
  durationSeconds,
  streamSeconds: videoSeconds,
});

/** What verification holds a film or a sound to. */
import { printNumber } from "../filtergraph.ts";
import type { Expectation } from "../types.ts";
import type { Source } from "./source.ts";

/** Of a file that is no media, or was checked with others: that it is there is all there is to know. */
export const NO_MEDIA: Expectation = {
  ...{ demuxers: [], durationSeconds: null, durationToleranceSeconds: 0, video: [], audio: [], subtitles: 0 },
  still: false,
};

export interface Toleration {
  readonly source: Source;
  readonly durationSeconds: number | null;
  /** Of the output; null when unknown or when there is no picture. */
  readonly fps: number | null;
  /** Begins at a keyframe somewhere before the part. */
  readonly fromKeyframe: boolean;
  /** The container states no duration, so a prober guesses it. */
  readonly guessed: boolean;
  readonly startSeconds: number;
  /** A subtitle that begins in the part is shown to its own end. */
  readonly subtitlesCut: boolean;
}

/** Nobody leaves a line standing for longer. */
const SUBTITLE_SECONDS_MAX = 10;

const GUESSED_OUTPUTS = new Set(["aac", "ac3", "eac3", "mpg"]);

export const isGuessed = (containerName: string): boolean => GUESSED_OUTPUTS.has(containerName);

/** A frame at either end, the rounding of containers, and packets of sound that are not cut. */
export function toleranceSeconds(toleration: Toleration): number {
  const { source, durationSeconds, fps, fromKeyframe, guessed, startSeconds, subtitlesCut } = toleration;
  const length = durationSeconds ?? 0;
  const frames = fps === null ? 0.2 : 2 / Math.max(1, fps);
  const keyframe = fromKeyframe ? Math.min(startSeconds, 30) + 0.5 : 0;
  const guess = guessed || source.durationIsGuess ? 0.5 + length * 0.25 : 0;
  // Streams of one file often differ in length, and what is left of the file is as long as the longest that stays.
  const tail = streamSpread(source);
  const subtitle = subtitlesCut ? SUBTITLE_SECONDS_MAX : 0;
  return Number(printNumber(0.3 + subtitle + frames + keyframe + guess + tail + length * 0.002));
}

function streamSpread({ video, audio, durationSeconds }: Source): number {
  const lengths = [video, ...audio].flatMap((stream) =>
    stream?.durationSeconds == null ? [] : [stream.durationSeconds],
  );
  if (durationSeconds === null || lengths.length === 0) return 0;
  return Math.max(0, Math.min(30, durationSeconds - Math.min(...lengths)));
}

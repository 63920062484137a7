/** Which pictures and sounds a package has, with everything that encoding them needs. */

import { type Container, containerNamed } from "../containers.ts";
import { videoEncoder } from "../encoders/registry.ts";
import { shortLanguage } from "../operations/languages.ts";
import type { Fraction } from "../operations/scalars.ts";
import type { AudioRendition, StreamOperation } from "../operations/stream.schema.ts";
import { transcodeSchema } from "../operations/transcode.schema.ts";
import type { PlanContext } from "../plan/context.ts";
import { type PictureState, pictureAfter } from "../plan/picture.ts";
import { invalidPlan, overLimit, unsupportedPlan } from "../plan/refuse.ts";
import { NO_WISHES, type SoundEncode, soundWay, wishesOf } from "../plan/sound.ts";
import { fpsOf, lengthsOf } from "../plan/source.ts";
import { encoderForSize, encodeVideo, type VideoEncode } from "../plan/video-choice.ts";
import type { AudioStream, VideoStream } from "../types.ts";
import { type LadderSource, ladderOf, type Rung, rungOf } from "./ladder.ts";

export interface VideoRendition {
  readonly id: string;
  readonly rung: Rung;
  readonly encode: VideoEncode;
}

export interface SoundRendition {
  readonly id: string;
  readonly stream: AudioStream;
  readonly way: SoundEncode;
  readonly language: string | null;
  readonly group: string;
  /** Unique in its group. */
  readonly name: string;
}

export interface Pictures {
  readonly video: VideoStream;
  /** After the operations, before any rung. */
  readonly state: PictureState;
  readonly fps: Fraction;
  readonly renditions: readonly VideoRendition[];
}

const FPS_MAX = 120;
const KNOWN_RATES: readonly Fraction[] = [
  { num: 24_000, den: 1_001 },
  { num: 30_000, den: 1_001 },
  { num: 60_000, den: 1_001 },
  { num: 120_000, den: 1_001 },
];
const AUDIO_BITRATE: Readonly<Record<string, number>> = { aac: 128_000, opus: 96_000, ac3: 192_000, eac3: 160_000 };

/** A steady rate for a picture, whatever times its frames have. */
export function steadyRate(fps: number): Fraction {
  const rate = Math.min(fps, FPS_MAX);
  const known = KNOWN_RATES.find(({ num, den }) => Math.abs(num / den - rate) < 0.005);
  if (known !== undefined) return known;
  const whole = Math.round(rate);
  if (whole > 0 && Math.abs(whole - rate) < 0.01) return { num: whole, den: 1 };
  return { num: Math.max(1, Math.round(rate * 1_000)), den: 1_000 };
}

export const mp4Container = (): Container => {
  const found = containerNamed("mp4");
  if (found === null) throw new Error("There is no container mp4.");
  return found;
};

function rungsOf(operation: StreamOperation, source: LadderSource): readonly Rung[] {
  if (operation.variants === undefined) return ladderOf(source);
  const rungs = operation.variants.map((variant, index) => {
    const rung = rungOf(variant, source);
    if (typeof rung === "string") throw invalidPlan(`The variant ${index + 1} ${rung}.`, `variants[${index}]`);
    return rung;
  });
  return rungs.sort((a, b) => b.bitrate - a.bitrate);
}

function requireDistinct(rungs: readonly Rung[]): void {
  const seen = new Set<string>();
  rungs.forEach(({ width, height, bitrate, codec, fps }) => {
    const what = `${width}x${height} with ${bitrate} bits per second in ${codec} at ${fps.num}/${fps.den}`;
    if (seen.has(what)) throw invalidPlan(`Two variants are the same: ${what}.`, "variants");
    seen.add(what);
  });
}

/** Null when the input has no picture. */
export function picturesOf(
  context: PlanContext,
  operation: StreamOperation,
  gopSize: (fps: Fraction) => number,
): Pictures | null {
  const { source, operations, capabilities, limits } = context;
  const { video } = source;
  if (video === null || video.still) {
    if (video?.still === true && source.audio.length === 0)
      throw invalidPlan("The input is a single picture, which cannot be packaged for streaming.");
    if (operation.variants !== undefined)
      throw invalidPlan("The input has no picture to make variants of.", "variants");
    return null;
  }
  const fps = steadyRate(fpsOf(video));
  const shown = pictureAfter({
    ...{ video, operations, grid: { x: 2, y: 2 }, pixelFormat: "yuv420p" },
    ...{ id: 0, lengths: lengthsOf(source), inputs: context.inputs },
  });
  const { num, den } = shown.sampleAspect;
  const ladder: LadderSource = {
    width: Math.max(2, Math.round((shown.width * num) / den)),
    height: shown.height,
    fps,
    bitrate: video.bitrate ?? source.media.bitrate,
  };
  const rungs = rungsOf(operation, ladder);
  requireDistinct(rungs);
  const container = mp4Container();
  const renditions = rungs.map((rung, index) => {
    if (rung.bitrate > limits.maxBitrate)
      throw overLimit(`A variant would have ${rung.bitrate} bits per second; ${limits.maxBitrate} are allowed.`);
    const transcode = transcodeSchema.parse({
      type: "transcode",
      video_codec: rung.codec,
      preset: rung.preset,
      video_bitrate: rung.bitrate,
      // Some encoders keep a rate by themselves and refuse to be told its peak.
      ...(videoEncoder(rung.codec).takesMaxBitrate
        ? { max_bitrate: Math.round(rung.bitrate * 1.2), buffer_size: rung.bitrate * 2 }
        : {}),
      gop_size: gopSize(rung.fps),
      pixel_format: "yuv420p",
    });
    const question = { choice: rung.codec, video, container, capabilities, transcode, still: false, quality: null };
    const sized = encoderForSize(encodeVideo(question), rung, capabilities);
    return { id: `v${index}`, rung, encode: { ...sized, settings: { ...sized.settings, fixedGop: true } } };
  });
  return { video, state: shown, fps, renditions };
}

const CODE = /^[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8}){0,3}$/;

function languageOf(stream: AudioStream): string | null {
  const { language } = stream;
  if (language === null || language === "und" || !CODE.test(language)) return null;
  return language.includes("-") ? language : shortLanguage(language);
}

function trackFor(tracks: readonly AudioStream[], rendition: AudioRendition, index: number): AudioStream {
  const [first] = tracks;
  if (first === undefined) throw invalidPlan("The input has no sound to make renditions of.", `audio[${index}]`);
  const { language } = rendition;
  if (language === undefined) return first;
  const same = tracks.find(
    (track) => track.language !== null && shortLanguage(track.language) === shortLanguage(language),
  );
  if (same !== undefined) return same;
  // The only track may be called what the client knows it to be, unless the file says otherwise.
  if (tracks.length === 1 && languageOf(first) === null) return first;
  const known = tracks.map((track) => languageOf(track) ?? "none").join(", ");
  throw invalidPlan(`The input has no sound in ${language}; its tracks are in: ${known}.`, `audio[${index}].language`);
}

export function soundsOf(context: PlanContext, operation: StreamOperation): readonly SoundRendition[] {
  const { source, operations, capabilities } = context;
  const wishes = wishesOf(operations, source.durationSeconds);
  if (wishes.effects.some(({ kind }) => kind === "loudness"))
    throw unsupportedPlan("Loudness is not normalised in a streaming package here; normalise the film first.");
  if (wishes.removed) return [];
  const asked: readonly { readonly stream: AudioStream; readonly rendition: AudioRendition }[] =
    operation.audio === undefined
      ? source.audio.map((stream) => ({ stream, rendition: {} }))
      : operation.audio.map((rendition, index) => ({ stream: trackFor(source.audio, rendition, index), rendition }));
  const names = new Map<string, number>();
  return asked.map(({ stream, rendition }, index) => {
    const codec = rendition.codec ?? "aac";
    const bitrate = rendition.bitrate ?? AUDIO_BITRATE[codec] ?? 128_000;
    const surround = codec === "ac3" || codec === "eac3";
    const channels = wishes.channels ?? (surround ? null : Math.min(2, stream.channels));
    const way = soundWay({
      ...{ stream, container: mp4Container(), choice: codec, exact: true, capabilities },
      name: `sound-${index}`,
      wishes: { ...NO_WISHES, ...wishes, channels, bitrate },
    });
    if (way.kind !== "encode") throw new Error("A named codec is always encoded.");
    const language = rendition.language ?? languageOf(stream);
    const group = `${codec}-${Math.round((way.bitrate ?? bitrate) / 1_000)}k`;
    const label = language ?? "sound";
    const count = (names.get(`${group}/${label}`) ?? 0) + 1;
    names.set(`${group}/${label}`, count);
    return { id: `a${index}`, stream, way, language, group, name: count === 1 ? label : `${label} ${count}` };
  });
}

/** Encoders by our name of the codec, and which of them an FFmpeg has. */
import type { AudioCodec, VideoCodec } from "../operations/transcode.schema.ts";
import type { Ability, Capabilities } from "../types.ts";
import { AUDIO_ENCODERS, type AudioEncoder } from "./audio.ts";
import { av1 } from "./av1.ts";
import { h264 } from "./h264.ts";
import { h265 } from "./h265.ts";
import { mpeg2, prores } from "./intermediate.ts";
import { gif, mjpeg, png, webp } from "./pictures.ts";
import type { PictureCodec, VideoEncoder } from "./video-encoder.ts";
import { vp8, vp9 } from "./vpx.ts";

const VIDEO_ENCODERS: Readonly<Record<PictureCodec, VideoEncoder>> = {
  h264,
  h265,
  vp8,
  vp9,
  av1,
  prores,
  mpeg2,
  gif,
  webp,
  png,
  mjpeg,
};

export const videoEncoder = (codec: PictureCodec): VideoEncoder => VIDEO_ENCODERS[codec];

export const audioEncoder = (codec: AudioCodec): AudioEncoder => AUDIO_ENCODERS[codec];

/** The codec a client would name for what ffprobe calls `probed`; null for one that nobody encodes. */
export function videoCodecOf(probed: string): VideoCodec | null {
  const found = Object.values(VIDEO_ENCODERS).find((encoder) => encoder.probed === probed)?.codec;
  return found === undefined || found === "png" || found === "mjpeg" ? null : found;
}

export const audioCodecOf = (probed: string): AudioCodec | null =>
  Object.values(AUDIO_ENCODERS).find((encoder) => encoder.probed === probed)?.codec ?? null;

export interface ChosenEncoder {
  readonly name: string;
  readonly ability: Ability;
}

/** The first of `names` that works; when none does, why the first does not. */
export function chooseEncoder(names: readonly string[], capabilities: Capabilities): ChosenEncoder {
  const works = names.find((name) => capabilities.encoders[name]?.ok === true);
  if (works !== undefined) return { name: works, ability: { ok: true } };
  const [first = ""] = names;
  const known = capabilities.encoders[first];
  const reason = known?.ok === false ? known.reason : `this FFmpeg has no encoder ${first}`;
  return { name: first, ability: { ok: false, reason } };
}

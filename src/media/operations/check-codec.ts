import { nearestName } from "../../validation/nearest.ts";
import { quoteForMessage } from "../../validation/parse.ts";
import type { Container } from "../containers.ts";
import { isPicture, isSoundOnly } from "../containers.ts";
import { type Accelerator, hardware, SOFTWARE_FIELDS } from "../encoders/hardware.ts";
import { audioEncoder, videoEncoder } from "../encoders/registry.ts";
import type { PictureCodec, VideoEncoder } from "../encoders/video-encoder.ts";
import type { MediaLimits } from "../types.ts";
import { AUTO } from "./scalars.ts";
import { AUDIO_CODECS, type AudioCodec, type Transcode, VIDEO_CODECS } from "./transcode.schema.ts";

export interface TranscodeCheck {
  readonly transcode: Transcode;
  readonly container: Container;
  readonly limits: MediaLimits;
  at(field: string, message: string): void;
}

/** Parameters that are about the picture's encoder; they mean that there is one. */
const ENCODER_FIELDS = [
  "preset",
  "tune",
  "profile",
  "level",
  "pixel_format",
  "crf",
  "video_bitrate",
  "max_bitrate",
  "buffer_size",
  "gop_size",
  "b_frames",
] as const;
const VIDEO_FIELDS = [...ENCODER_FIELDS, "width", "height", "fps"] as const;
const AUDIO_FIELDS = ["audio_bitrate", "audio_sample_rate", "audio_channels"] as const;

const given = <Field extends keyof Transcode>(transcode: Transcode, fields: readonly Field[]): Field[] =>
  fields.filter((field) => transcode[field] !== undefined);

const asksTwoPass = (transcode: Transcode): boolean => transcode.two_pass === true;

/** The accelerator that was asked for by name. */
export function namedHardware({ hardware_acceleration: wanted }: Transcode): Accelerator | null {
  return wanted === undefined || wanted === "none" || wanted === "auto" ? null : wanted;
}

export const changesPicture = (transcode: Transcode): boolean =>
  given(transcode, VIDEO_FIELDS).length > 0 || asksTwoPass(transcode) || namedHardware(transcode) !== null;
export const changesSound = (transcode: Transcode): boolean => given(transcode, AUDIO_FIELDS).length > 0;

export type VideoChoice = PictureCodec | "copy" | "none" | null;
export type AudioChoice = AudioCodec | "copy" | "none" | null;

/** What a transcode says of the picture; null: whatever is least work. */
export function videoChoice(transcode: Transcode | null, container: Container): VideoChoice {
  if (isSoundOnly(container)) return "none";
  if (transcode?.video_codec !== undefined) return transcode.video_codec;
  if (transcode !== null && changesPicture(transcode)) return container.video.encodes[0] ?? null;
  return null;
}

export function audioChoice(transcode: Transcode | null, container: Container): AudioChoice {
  if (isPicture(container)) return "none";
  if (transcode?.audio_codec !== undefined) return transcode.audio_codec;
  if (transcode !== null && changesSound(transcode)) return container.audio.encodes[0] ?? null;
  return null;
}

const allowed = (names: readonly string[]): string => (names.length === 0 ? "nothing" : names.join(", "));

function checkCodecs({ transcode, container, at }: TranscodeCheck): void {
  const { video_codec: video, audio_codec: audio } = transcode;
  if (video !== undefined && video !== "none" && isSoundOnly(container)) {
    at("video_codec", `must be none, because ${container.name} holds sound only`);
  } else if (video !== undefined && video !== "copy" && video !== "none" && !container.video.encodes.includes(video)) {
    at(
      "video_codec",
      `is ${video}, which ${container.name} does not hold; it holds ${allowed(container.video.encodes)}`,
    );
  }
  if (audio !== undefined && audio !== "none" && isPicture(container)) {
    at("audio_codec", `must be none, because ${container.name} holds no sound`);
  } else if (audio !== undefined && audio !== "copy" && audio !== "none" && !container.audio.encodes.includes(audio)) {
    at(
      "audio_codec",
      `is ${audio}, which ${container.name} does not hold; it holds ${allowed(container.audio.encodes)}`,
    );
  }
  if (video === "none" && (audio === "none" || isPicture(container)))
    at("video_codec", "is none and so is the sound; nothing would be left");
}

function checkName(
  check: TranscodeCheck,
  field: "preset" | "tune" | "profile" | "level" | "pixel_format",
  names: readonly string[],
  codec: string,
): void {
  const value = check.transcode[field];
  if (value === undefined || names.includes(value)) return;
  check.at(field, names.length === 0 ? `is not a parameter of ${codec}` : noSuchName(value, field, names, codec));
}

/** The message about a name that is none of `names`. */
export function noSuchName(value: string, field: string, names: readonly string[], codec: string): string {
  const near = nearestName(value, names);
  const use = near === null ? `use one of ${names.join(", ")}` : `did you mean ${near}?`;
  return `is ${quoteForMessage(value)}, which is no ${field.replaceAll("_", " ")} of ${codec}; ${use}`;
}

function checkCrf({ transcode, at }: TranscodeCheck, encoder: VideoEncoder): void {
  const { crf } = transcode;
  if (crf === undefined) return;
  if (encoder.crf === null) {
    at("crf", `is not a parameter of ${encoder.codec}`);
    return;
  }
  const { min, max, fractions } = encoder.crf;
  if (crf < min || crf > max) at("crf", `must be between ${min} and ${max} for ${encoder.codec}`);
  else if (!fractions && !Number.isInteger(crf)) at("crf", `must be a whole number for ${encoder.codec}`);
  const constrained = encoder.codec === "vp9" || encoder.codec === "vp8";
  if (transcode.video_bitrate !== undefined && !constrained)
    at("crf", "is constant quality and video_bitrate a constant rate; give one of them");
}

function checkRate({ transcode, limits, at }: TranscodeCheck, encoder: VideoEncoder): void {
  const { video_bitrate: rate, max_bitrate: most, buffer_size: buffer } = transcode;
  for (const field of ["video_bitrate", "max_bitrate"] as const) {
    const value = transcode[field];
    if (value === undefined) continue;
    if (!(field === "video_bitrate" ? encoder.takesBitrate : encoder.takesMaxBitrate))
      at(field, `is not a parameter of ${encoder.codec}`);
    else if (value > limits.maxBitrate) at(field, `must be at most ${limits.maxBitrate} bits per second here`);
  }
  if (rate !== undefined && most !== undefined && most < rate) at("max_bitrate", "must not be below video_bitrate");
  if (buffer !== undefined && most === undefined)
    at("buffer_size", "is the buffer that max_bitrate is measured over; give max_bitrate too");
  if (buffer !== undefined && buffer > 2_000_000_000) at("buffer_size", "must be at most 2G bits");
  if (!asksTwoPass(transcode)) return;
  if (!encoder.twoPass) at("two_pass", `is not available for ${encoder.codec}`);
  else if (transcode.preset === "realtime") at("two_pass", "is not available with preset realtime");
  else if (rate === undefined) at("two_pass", "needs a video_bitrate to spread over the film");
}

function checkProfile({ transcode, at }: TranscodeCheck, encoder: VideoEncoder): void {
  const { profile, pixel_format: format, b_frames: bFrames } = transcode;
  const formats = profile === undefined ? undefined : encoder.profiles[profile];
  if (formats !== undefined && format !== undefined && !formats.includes(format)) {
    at("pixel_format", `is ${format}, which profile ${profile} does not hold; it holds ${formats.join(", ")}`);
  }
  if (profile === "baseline" && bFrames !== undefined && bFrames > 0) at("b_frames", "must be 0 in profile baseline");
}

function checkEncoder(check: TranscodeCheck, codec: PictureCodec): void {
  const encoder = videoEncoder(codec);
  const { transcode, at } = check;
  checkName(check, "preset", encoder.presets, codec);
  checkName(check, "tune", encoder.tunes, codec);
  checkName(check, "profile", Object.keys(encoder.profiles), codec);
  checkName(check, "level", encoder.levels, codec);
  checkName(check, "pixel_format", encoder.pixelFormats, codec);
  checkCrf(check, encoder);
  checkRate(check, encoder);
  checkProfile(check, encoder);
  if (transcode.gop_size !== undefined && !encoder.takesGop) at("gop_size", `is not a parameter of ${codec}`);
  const { b_frames: bFrames } = transcode;
  if (bFrames !== undefined && bFrames > encoder.bFramesMax) {
    at(
      "b_frames",
      encoder.bFramesMax === 0
        ? `is not a parameter of ${codec}`
        : `must be at most ${encoder.bFramesMax} for ${codec}`,
    );
  }
  for (const side of ["width", "height"] as const) {
    const value = transcode[side];
    if (value !== undefined && value !== AUTO && value > encoder.sizeMax)
      at(side, `must be at most ${encoder.sizeMax} for ${codec}`);
  }
}

function checkSound({ transcode, at }: TranscodeCheck, codec: AudioCodec): void {
  const encoder = audioEncoder(codec);
  const { audio_bitrate: rate, audio_channels: channels, audio_sample_rate: sampleRate } = transcode;
  if (rate !== undefined && encoder.bitrate === null)
    at("audio_bitrate", `is not a parameter of ${codec}, which is lossless`);
  else if (
    rate !== undefined &&
    encoder.bitrate !== null &&
    (rate < encoder.bitrate.min || rate > encoder.bitrate.max)
  ) {
    at("audio_bitrate", `must be between ${encoder.bitrate.min} and ${encoder.bitrate.max} for ${codec}`);
  }
  if (channels !== undefined && channels > encoder.channelsMax)
    at("audio_channels", `must be at most ${encoder.channelsMax} for ${codec}`);
  if (sampleRate !== undefined && encoder.rates.length > 0 && !encoder.rates.includes(sampleRate)) {
    at("audio_sample_rate", `must be one of ${encoder.rates.join(", ")} for ${codec}`);
  }
}

function checkHardware({ transcode, at }: TranscodeCheck, codec: PictureCodec): void {
  const name = namedHardware(transcode);
  if (name === null) return;
  const codecs = Object.keys(hardware(name).encoders);
  if (!codecs.includes(codec))
    at("hardware_acceleration", `is ${name}, which encodes ${allowed(codecs)} and not ${codec}`);
  for (const field of given(transcode, SOFTWARE_FIELDS)) at(field, `is not a parameter of ${name}`);
  if (asksTwoPass(transcode)) at("two_pass", `is not available with ${name}`);
}

const isVideoCodec = (choice: VideoChoice): choice is PictureCodec =>
  choice !== null && (VIDEO_CODECS as readonly string[]).includes(choice);
const isAudioCodec = (choice: AudioChoice): choice is AudioCodec =>
  choice !== null && (AUDIO_CODECS as readonly string[]).includes(choice);

/** Reports through `at` everything that cannot be. */
export function checkTranscode(check: TranscodeCheck): void {
  const { transcode, container, at } = check;
  checkCodecs(check);
  const video = videoChoice(transcode, container);
  if (isVideoCodec(video)) {
    checkEncoder(check, video);
    checkHardware(check, video);
  }
  if (video === "copy" || video === "none") {
    const why =
      video === "copy"
        ? "changes the picture, which video_codec copy leaves as it is"
        : "is about a picture, and there will be none";
    const twoPass: readonly (keyof Transcode)[] = asksTwoPass(transcode) ? ["two_pass"] : [];
    for (const field of [...given(transcode, VIDEO_FIELDS), ...twoPass]) at(field, why);
    if (namedHardware(transcode) !== null) at("hardware_acceleration", why);
  }
  if (video === "png" || video === "mjpeg") {
    for (const field of given(transcode, [...ENCODER_FIELDS])) at(field, `is not a parameter of ${container.name}`);
  }
  const audio = audioChoice(transcode, container);
  if (isAudioCodec(audio)) checkSound(check, audio);
  if (audio === "copy" || audio === "none") {
    const why =
      audio === "copy"
        ? "changes the sound, which audio_codec copy leaves as it is"
        : "is about sound, and there will be none";
    for (const field of given(transcode, AUDIO_FIELDS)) at(field, why);
  }
}

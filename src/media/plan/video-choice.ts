/** How the main picture goes into an output: as it is, encoded, or not at all; and why. */
import type { Container } from "../containers.ts";
import {
  chooseHardware,
  type Hardware,
  type HardwareChoice,
  onHardware,
  SOFTWARE_FIELDS,
} from "../encoders/hardware.ts";
import { chooseEncoder, videoCodecOf, videoEncoder } from "../encoders/registry.ts";
import type { PictureCodec, VideoEncoder, VideoSettings } from "../encoders/video-encoder.ts";
import type { VideoChoice } from "../operations/check-codec.ts";
import type { Transcode } from "../operations/transcode.schema.ts";
import type { Capabilities, VideoStream } from "../types.ts";
import type { Grid } from "./picture.ts";
import { unsupportedPlan } from "./refuse.ts";
import { chromaOf } from "./source.ts";

export interface VideoEncode {
  readonly encoder: VideoEncoder;
  /** FFmpeg's name of it. */
  readonly name: string;
  readonly settings: VideoSettings;
  readonly pixelFormat: string;
  readonly grid: Grid;
  readonly warnings: readonly string[];
  /** The card that encodes; absent: the processor. */
  readonly hardware?: Hardware;
}

/** Null: it can be copied into the container. Otherwise why it cannot. */
export function obstacleToCopy(video: VideoStream, container: Container, demuxers: readonly string[]): string | null {
  if (!container.video.copies.includes(video.codec)) return `${container.name} does not hold ${video.codec}`;
  if (video.rotation !== 0 && !container.displayMatrix) return `${container.name} does not say how a picture is turned`;
  // Frames of AVI have no presentation times, which other containers need where frames are reordered.
  if (demuxers.includes("avi") && container.name !== "avi" && video.codec !== "mjpeg")
    return "frames of AVI carry no times";
  return null;
}

/** Sizes of 4:2:0 films are even; pictures take any. */
export function gridOf(codec: PictureCodec, pixelFormat: string): Grid {
  if (codec === "gif" || codec === "webp" || codec === "png" || codec === "mjpeg") return { x: 1, y: 1 };
  const chroma = chromaOf(pixelFormat);
  return { x: chroma === "444" ? 1 : 2, y: chroma === "420" ? 2 : 1 };
}

interface CodecQuestion {
  readonly choice: VideoChoice;
  readonly video: VideoStream;
  readonly container: Container;
  readonly capabilities: Capabilities;
}

/** Asked for, or the input's own where it can stay, or what the container is made for. */
function codecFor({ choice, video, container, capabilities }: CodecQuestion): PictureCodec {
  if (choice !== null && choice !== "copy" && choice !== "none") return choice;
  const own = videoCodecOf(video.codec);
  const works = own !== null && chooseEncoder(videoEncoder(own).encoders, capabilities).ability.ok;
  if (own !== null && works && container.video.encodes.includes(own)) return own;
  return container.video.encodes[0] ?? "h264";
}

function settingsFor(encoder: VideoEncoder, transcode: Transcode | null, quality: number | null): VideoSettings {
  const rated = transcode?.video_bitrate !== undefined;
  const crf = transcode?.crf ?? (rated ? null : (encoder.crf?.default ?? null));
  return {
    preset: transcode?.preset ?? null,
    tune: transcode?.tune ?? null,
    profile: transcode?.profile ?? (encoder.codec === "prores" ? "hq" : null),
    level: transcode?.level ?? null,
    crf,
    bitrate: transcode?.video_bitrate ?? null,
    maxBitrate: transcode?.max_bitrate ?? null,
    bufferSize: transcode?.buffer_size ?? null,
    gopSize: transcode?.gop_size ?? null,
    bFrames: transcode?.b_frames ?? (transcode?.profile === "baseline" ? 0 : null),
    quality,
  };
}

function pixelFormatFor(encoder: VideoEncoder, video: VideoStream, transcode: Transcode | null): string {
  if (transcode?.pixel_format !== undefined) return transcode.pixel_format;
  const chroma = chromaOf(video.pixelFormat);
  const natural = encoder.pixelFormat({ bitDepth: video.bitDepth, hasAlpha: video.hasAlpha, chroma });
  const held = transcode?.profile === undefined ? undefined : encoder.profiles[transcode.profile];
  if (held === undefined || held.includes(natural)) return natural;
  return held[0] ?? natural;
}

export const HDR_WARNING =
  "The picture is HDR; its brightness is kept as it is and not adapted to ordinary screens (filter tonemap does that).";

function warningsFor(encoder: VideoEncoder, video: VideoStream, pixelFormat: string, asked: boolean): string[] {
  const warnings: string[] = [];
  const deep = /1[026]|48|64/.test(pixelFormat.replace(/^yuvj?a?4\d\d/, ""));
  const film =
    encoder.codec !== "gif" && encoder.codec !== "mjpeg" && encoder.codec !== "webp" && encoder.codec !== "png";
  if (video.bitDepth > 8 && !deep && film && !asked) {
    warnings.push(`The picture has ${video.bitDepth} bits and is encoded with 8; name a pixel_format to keep them.`);
  }
  if (video.hdr !== "sdr") {
    warnings.push(HDR_WARNING);
  }
  return warnings;
}

/** Null: nobody asked. */
function hardwareFor(
  transcode: Transcode | null,
  codec: PictureCodec,
  capabilities: Capabilities,
): HardwareChoice | null {
  const wanted = transcode?.hardware_acceleration ?? "none";
  if (transcode === null || wanted === "none") return null;
  const software = SOFTWARE_FIELDS.find((field) => transcode[field] !== undefined);
  if (wanted === "auto" && (software !== undefined || transcode.two_pass === true))
    return { why: `${software ?? "two_pass"} is for encoding in software` };
  const chosen = chooseHardware(wanted, codec, capabilities);
  if ("why" in chosen && wanted !== "auto")
    throw unsupportedPlan(`Hardware acceleration by ${wanted} does not work here: ${chosen.why}.`);
  return chosen;
}

function encodeOnCard(question: EncodeQuestion, codec: PictureCodec, card: Hardware, name: string): VideoEncode {
  const encoder = onHardware(videoEncoder(codec), card);
  return {
    ...{ encoder, name, hardware: card, pixelFormat: card.pixelFormat, grid: { x: 2, y: 2 } },
    settings: settingsFor(encoder, question.transcode, null),
    warnings: warningsFor(encoder, question.video, "yuv420p", false),
  };
}

type EncodeQuestion = CodecQuestion & {
  readonly transcode: Transcode | null;
  readonly still: boolean;
  readonly quality: number | null;
};

/** `still`: one picture, which some encoders have a variant for. */
export function encodeVideo(question: EncodeQuestion): VideoEncode {
  const { video, transcode, capabilities } = question;
  const codec = codecFor(question);
  const encoder = videoEncoder(codec);
  const card = question.still ? null : hardwareFor(transcode, codec, capabilities);
  if (card !== null && "use" in card) return encodeOnCard(question, codec, card.use, card.name);
  const names = question.still ? [...encoder.encoders].reverse() : encoder.encoders;
  const { name, ability } = chooseEncoder(names, capabilities);
  if (!ability.ok) throw unsupportedPlan(`The codec ${codec} cannot be encoded here: ${ability.reason}.`);
  const pixelFormat = pixelFormatFor(encoder, video, transcode);
  return {
    encoder,
    name,
    settings: settingsFor(encoder, transcode, question.quality),
    pixelFormat,
    grid: gridOf(codec, pixelFormat),
    warnings: [
      ...warningsFor(encoder, video, pixelFormat, transcode?.pixel_format !== undefined),
      ...(card === null || !("why" in card)
        ? []
        : [`The picture is encoded without hardware acceleration: ${card.why}.`]),
    ],
  };
}

/** Very small pictures are beyond some encoders: another of the same codec may take them. */
export function encoderForSize(
  encode: VideoEncode,
  { width, height }: { readonly width: number; readonly height: number },
  capabilities: Capabilities,
): VideoEncode {
  const { encoders, sizeMin = {}, codec } = encode.encoder;
  const needs = (name: string): readonly [number, number] => sizeMin[name] ?? [1, 1];
  const takes = (name: string): boolean => width >= needs(name)[0] && height >= needs(name)[1];
  if (takes(encode.name)) return encode;
  if (encode.hardware !== undefined) {
    const { accelerator } = encode.hardware;
    throw unsupportedPlan(
      `Pictures of ${width}x${height} are too small for ${accelerator}; leave out hardware_acceleration.`,
    );
  }
  const { name, ability } = chooseEncoder(encoders.filter(takes), capabilities);
  if (ability.ok) return { ...encode, name };
  const least = needs(encode.name).join("x");
  throw unsupportedPlan(`The codec ${codec} takes no picture of ${width}x${height} here, only from ${least} on.`);
}

/** The main picture of an output: its chains and its arguments. */
import type { Container } from "../containers.ts";
import type { EncoderArg, Pass } from "../encoders/video-encoder.ts";
import { type Chain, type Filter, filter, printNumber } from "../filtergraph.ts";
import type { Fraction } from "../operations/scalars.ts";
import type { ExpectedVideo, VideoStream } from "../types.ts";
import type { GraphContext, OutputArgs } from "./output.ts";
import { fitGrid, type PictureState } from "./picture.ts";
import { fpsOf } from "./source.ts";
import { cutPicture, type Window } from "./timeline.ts";
import type { VideoEncode } from "./video-choice.ts";

export interface EncodedVideo {
  readonly id: number;
  readonly video: VideoStream;
  readonly encode: VideoEncode;
  /** After all operations and on the encoder's grid. */
  readonly picture: PictureState;
  readonly container: Container;
  readonly window: Window;
  /** Frames the output may have; for the palette's memory. */
  readonly frames: number | null;
  readonly threads: number;
  readonly still: boolean;
  /** The input counts frames and has no times: a missing one stands for the one before it. */
  readonly countedInput: boolean;
}

/** A palette over the whole film needs all its frames at once; beyond this each frame gets its own. */
const PALETTE_BYTES_MAX = 256e6;
const GIF_FPS_MAX = 50;
const RATE_FRAMES_MIN = 25;

const toFraction = (rate: readonly [number, number]): Fraction => ({ num: rate[0], den: rate[1] });

/** The rate that the encoder or the container forces upon the picture; null when it may stay as it is. */
export function forcedRate(
  encode: VideoEncode,
  container: Container,
  video: VideoStream,
  fps: Fraction | null,
): Fraction | null {
  const wanted = fps === null ? fpsOf(video) : fps.num / fps.den;
  const { frameRates, codec } = encode.encoder;
  if (frameRates.length > 0) {
    const distance = ([num, den]: readonly [number, number]) => Math.abs(num / den - wanted);
    const nearest = [...frameRates].sort((a, b) => distance(a) - distance(b))[0];
    if (nearest === undefined) return null;
    return distance(nearest) < 0.000_5 && !video.isVariableFps && fps === null ? null : toFraction(nearest);
  }
  if (codec === "gif" && wanted > GIF_FPS_MAX) return { num: GIF_FPS_MAX, den: 1 };
  if (!container.variableFps && video.isVariableFps && fps === null)
    return { num: Math.round(wanted * 1_000), den: 1_000 };
  return null;
}

/** Brings a picture to what the encoder takes: its grid, and a rate where one is forced. */
export function finishPicture(
  state: PictureState,
  encode: VideoEncode,
  container: Container,
  video: VideoStream,
  still: boolean,
): PictureState {
  const fitted = fitGrid(state, encode.grid);
  const rate = still ? null : forcedRate(encode, container, video, state.fps);
  if (rate === null) return fitted;
  const fps = filter("fps", { fps: `${rate.num}/${rate.den}` });
  const changes =
    Math.abs(rate.num / rate.den - (state.fps === null ? fpsOf(video) : state.fps.num / state.fps.den)) > 0.01;
  const warning = `The picture is shown at ${printNumber(Number((rate.num / rate.den).toFixed(3)))} frames per second, which ${encode.encoder.codec} in ${container.name} can hold.`;
  return {
    ...fitted,
    fps: rate,
    filters: [...fitted.filters, fps],
    warnings: changes ? [...fitted.warnings, warning] : fitted.warnings,
  };
}

export const outputFps = ({ picture, video, still }: EncodedVideo): number | null => {
  if (still) return null;
  if (picture.fps !== null) return picture.fps.num / picture.fps.den;
  return video.isVariableFps ? null : fpsOf(video);
};

/** Frames come at one rate, whatever the input does. */
const isCounted = ({ container, encode, countedInput }: EncodedVideo): boolean =>
  countedInput || !container.variableFps || encode.encoder.frameRates.length > 0;

/** A rate is only sure where it is made: an input's own may have holes. */
function expectedFps(part: EncodedVideo): number | null {
  const { codec } = part.encode.encoder;
  if (codec === "gif" || codec === "webp") return null;
  // The average of a few frames depends on how long the last is shown.
  if (part.frames !== null && part.frames < RATE_FRAMES_MIN) return null;
  return part.picture.fps !== null || isCounted(part) ? outputFps(part) : null;
}

export const expectedVideo = (part: EncodedVideo): ExpectedVideo => ({
  codec: part.encode.encoder.probed,
  width: part.picture.width,
  height: part.picture.height,
  fps: expectedFps(part),
});

export const paletteBytes = ({ picture, frames }: EncodedVideo): number =>
  (frames ?? Number.POSITIVE_INFINITY) * picture.width * picture.height * 4;

const usesOnePalette = (part: EncodedVideo): boolean => paletteBytes(part) <= PALETTE_BYTES_MAX;

function paletteChains(part: EncodedVideo, head: Chain): Chain[] {
  const [all, look, palette] = [`g${part.id}a`, `g${part.id}b`, `g${part.id}p`];
  const one = usesOnePalette(part);
  return [
    { ...head, filters: [...head.filters, filter("split", { outputs: 2 })], outputs: [all, look] },
    { inputs: [look], filters: [filter("palettegen", { stats_mode: one ? "diff" : "single" })], outputs: [palette] },
    {
      inputs: [all, palette],
      // What is left of the frame before would be shown in colours of the next one's palette.
      filters: [filter("paletteuse", one ? { new: 0, diff_mode: "rectangle" } : { new: 1 })],
      outputs: [`v${part.id}`],
    },
  ];
}

function chainsOf(part: EncodedVideo, { seekSeconds, input }: GraphContext, extra: readonly Filter[]): Chain[] {
  const { encode, picture, window, video, id } = part;
  const filters = [...cutPicture(window, seekSeconds), ...extra, ...picture.filters];
  const head: Chain = { inputs: [`${input}:${video.index}`], filters, outputs: [`v${id}`] };
  if (encode.encoder.codec === "gif") return paletteChains(part, head);
  const upload = encode.hardware?.uploads === true ? [filter("hwupload")] : [];
  return [{ ...head, filters: [...filters, filter("format", { pix_fmts: encode.pixelFormat }), ...upload] }];
}

/** The same without what only a card takes. */
export function comparedChains(part: EncodedVideo, context: GraphContext): Chain[] {
  const { hardware: _, ...encode } = part.encode;
  return chainsOf({ ...part, encode }, context, []);
}

/** The output's picture as it will be probed, as far as it is planned. */
export const comparedVideo = (part: EncodedVideo): VideoStream => ({
  ...part.video,
  ...{ index: 0, codec: part.encode.encoder.probed, rotation: 0, width: part.picture.width },
  ...{ height: part.picture.height, codedWidth: part.picture.width, codedHeight: part.picture.height },
  pixelFormat: part.encode.pixelFormat,
  bitDepth: /1[02](le|be)?$/.test(part.encode.pixelFormat) ? 10 : 8,
  ...{ averageFps: outputFps(part), nominalFps: outputFps(part) },
});

/** Codecs whose encoders take times as fine as the input's; others get the input's base rate as their clock. */
const FINE_CLOCK = new Set(["h264", "h265", "vp8", "vp9"]);

/** Frames keep the times they have, unless the container counts them. */
function timingArgs(part: EncodedVideo): string[] {
  const { encode, video, picture, still } = part;
  if (still) return [];
  const counted = isCounted(part);
  const fine = !counted && video.isVariableFps && picture.fps === null && FINE_CLOCK.has(encode.encoder.codec);
  return ["-fps_mode:v:0", counted ? "cfr" : "vfr", ...(fine ? ["-enc_time_base:v:0", "1/90000"] : [])];
}

/** Apple's players know HEVC by this tag only. */
export const tagArgs = (container: Container, probedCodec: string): string[] =>
  probedCodec === "hevc" && (container.muxer === "mp4" || container.muxer === "mov") ? ["-tag:v:0", "hvc1"] : [];

/** `extra`: filters between the cut and the operations. */
export function encodedVideoArgs(
  part: EncodedVideo,
  context: GraphContext,
  pass: Pass | null,
  extra: readonly Filter[] = [],
): OutputArgs {
  const { encode, picture, threads, id, container } = part;
  const encoderArgs: readonly EncoderArg[] = encode.encoder.args(encode.settings, {
    encoder: encode.name,
    pixelFormat: encode.pixelFormat,
    width: picture.width,
    height: picture.height,
    fps: outputFps(part) ?? fpsOf(part.video),
    threads,
    pass,
  });
  return {
    chains: chainsOf(part, context, extra),
    args: [
      "-map",
      `[v${id}]`,
      "-c:v:0",
      encode.name,
      ...encoderArgs,
      ...timingArgs(part),
      ...tagArgs(container, encode.encoder.probed),
    ],
  };
}

/** The `filter` operation, as filters of the picture and of the sound. */
import { type Filter, filter, printNumber } from "../filtergraph.ts";
import { type FilterOperation, numberOf } from "../operations/filter.schema.ts";
import type { Operation } from "../operations/parse.ts";
import type { VideoStream } from "../types.ts";
import { invalidPlan } from "./refuse.ts";
import { chromaOf } from "./source.ts";
import { graphZero, lengthOf, type Moment, type Window, windowOf } from "./timeline.ts";

/** What an effect needs to know of the film around it. */
export interface Scene {
  /** Of the operation, as in `operations[2]`. */
  readonly path: string;
  /** The film's time before the operation. */
  readonly moment: Moment;
  /** What is left of the input in the end: where the graph's time begins. */
  readonly window: Window;
  /** Of the stream that is changed; null when unknown. */
  readonly durationSeconds: number | null;
}

/** Seconds of the whole input, and of the stream that is changed. */
export interface Lengths {
  readonly durationSeconds: number | null;
  readonly streamSeconds: number | null;
}

export function sceneOf(operations: readonly Operation[], index: number, lengths: Lengths): Scene {
  const { durationSeconds, streamSeconds } = lengths;
  const last = streamSeconds ?? durationSeconds;
  const ends = (window: Window): Window =>
    last !== null && window.end !== null && window.end > last ? { ...window, end: null } : window;
  const moment = windowOf(operations.slice(0, index), durationSeconds);
  return {
    path: `operations[${index}]`,
    moment: { ...moment, window: ends(moment.window) },
    window: ends(windowOf(operations, durationSeconds).window),
    durationSeconds: last,
  };
}

/** Frames that a filter holds at once, of one picture. */
const REVERSE_BYTES_MAX = 1_000e6;

interface FadeTimes {
  readonly start: number;
  readonly duration: number;
  /** To be added to the graph's time, so that the fade's beginning is not before zero. */
  readonly shift: number;
}

function fadeTimes(operation: FilterOperation, { path, moment, window, durationSeconds }: Scene): FadeTimes {
  const zero = graphZero(moment, window, durationSeconds);
  const length = lengthOf(moment.window, durationSeconds, moment.rate);
  const asked = operation.duration ?? 1;
  if (operation.name === "fade_in") return { start: 0, duration: asked, shift: Math.max(0, -zero) };
  if (length === null) {
    throw invalidPlan(
      "The input does not say how long it is, so it is not known where its end fades; trim it to a known end first.",
      path,
    );
  }
  const duration = Math.min(asked, length);
  return { start: length - duration, duration, shift: Math.max(0, -zero) };
}

/** `inner` with the graph's time moved by `shift` around it. */
export const shifted = (name: "setpts" | "asetpts", shift: number, inner: Filter): Filter[] =>
  shift < 0.000_5
    ? [inner]
    : [
        filter(name, { expr: `PTS+${printNumber(shift)}/TB` }),
        inner,
        filter(name, { expr: `PTS-${printNumber(shift)}/TB` }),
      ];

function fadePicture(operation: FilterOperation, scene: Scene): Filter[] {
  const { start, duration, shift } = fadeTimes(operation, scene);
  const type = operation.name === "fade_in" ? "in" : "out";
  return shifted(
    "setpts",
    shift,
    filter("fade", { type, start_time: start, duration, color: operation.color ?? "black" }),
  );
}

/** atempo skips samples beyond twice the speed, and takes nothing below half of it. */
export function tempos(factor: number): number[] {
  if (factor > 2) return [2, ...tempos(factor / 2)];
  if (factor < 0.5) return [0.5, ...tempos(factor / 0.5)];
  return [factor];
}

/** What the sound goes through for a `filter`; empty when it is about the picture alone. */
export function soundFilters(operation: FilterOperation, scene: Scene): Filter[] {
  if (operation.name === "speed") {
    const factor = numberOf(operation, "factor");
    return factor === 1 ? [] : tempos(factor).map((tempo) => filter("atempo", { tempo }));
  }
  if (operation.name === "reverse") return [filter("areverse")];
  if ((operation.name !== "fade_in" && operation.name !== "fade_out") || operation.audio === false) return [];
  const { start, duration, shift } = fadeTimes(operation, scene);
  const type = operation.name === "fade_in" ? "in" : "out";
  return shifted("asetpts", shift, filter("afade", { type, start_time: start, duration }));
}

const bytesPerPixel = ({ pixelFormat, bitDepth, hasAlpha }: VideoStream): number => {
  const chroma = { "420": 1.5, "422": 2 }[chromaOf(pixelFormat)] ?? 3;
  return (chroma + (hasAlpha ? 1 : 0)) * (bitDepth > 8 ? 2 : 1);
};

/** Bytes that reversing holds: every frame of the film at once. */
export function reversedBytes(
  video: VideoStream,
  { width, height, fps }: { readonly width: number; readonly height: number; readonly fps: number },
  { path, moment, window, durationSeconds }: Scene,
): number {
  const seconds = lengthOf(window, durationSeconds, moment.rate);
  if (seconds === null) {
    throw invalidPlan(
      "The input does not say how long it is, so it cannot be reversed; trim it to a known end first.",
      path,
    );
  }
  const bytes = Math.ceil(seconds * fps + 1) * width * height * bytesPerPixel(video);
  if (bytes <= REVERSE_BYTES_MAX) return bytes;
  throw invalidPlan(
    `Reversing holds the whole film in memory, which would be ${Math.ceil(bytes / 1e6)} MB; at most ${REVERSE_BYTES_MAX / 1e6} MB are held, so trim or scale it first.`,
    path,
  );
}

/** To linear light and back, with the peaks brought into what an ordinary screen shows. */
export const toneMapping = (operation: FilterOperation | undefined, video: VideoStream): Filter[] => [
  // A film without tags is taken for what HDR films are.
  filter("zscale", {
    transferin: video.hdr === "hlg" ? "arib-std-b67" : "smpte2084",
    matrixin: "2020_ncl",
    primariesin: 2020,
    transfer: "linear",
    // Kept by name: where the film has no tag of them, there would be no way from these to none.
    primaries: 2020,
    npl: 100,
  }),
  filter("format", { pix_fmts: "gbrpf32le" }),
  filter("zscale", { primaries: "bt709" }),
  filter("tonemap", { tonemap: operation?.algorithm ?? "hable", desat: 0 }),
  filter("zscale", { transfer: "bt709", matrix: "bt709", range: "tv" }),
  filter("format", { pix_fmts: "yuv420p" }),
];

const deinterlacing = (operation: FilterOperation): Filter =>
  filter("bwdif", {
    mode: operation.mode === "field" ? "send_field" : "send_frame",
    deint: operation.all === true ? "all" : "interlaced",
  });

/** The filters of a picture effect that leaves size, rate and time as they are. */
export function pictureFilters(operation: FilterOperation, scene: Scene, video: VideoStream): Filter[] {
  const value = numberOf(operation, "value");
  switch (operation.name) {
    case "denoise":
      return [filter("hqdn3d", { luma_spatial: numberOf(operation, "strength") })];
    case "deinterlace":
      return [deinterlacing(operation)];
    case "sharpen":
      return [filter("unsharp", { luma_amount: numberOf(operation, "strength") })];
    case "blur":
      return [filter("gblur", { sigma: numberOf(operation, "radius") })];
    case "brightness":
    case "contrast":
    case "saturation":
    case "gamma":
      return [filter("eq", { [operation.name]: value })];
    case "hue":
      return [filter("hue", { h: numberOf(operation, "degrees") })];
    case "grayscale":
      return [filter("hue", { s: 0 })];
    case "fade_in":
    case "fade_out":
      return fadePicture(operation, scene);
    case "tonemap":
      return video.hdr === "sdr" ? [] : toneMapping(operation, video);
    default:
      return [];
  }
}

/** The files of a `concat`, each with the filters that make it equal to the others. */
import { layoutOf } from "../encoders/audio.ts";
import { type Chain, type Filter, filter } from "../filtergraph.ts";
import type { Operation } from "../operations/parse.ts";
import type { Scale } from "../operations/picture.schema.ts";
import type { Fraction } from "../operations/scalars.ts";
import type { VideoStream } from "../types.ts";
import { toneMapping } from "./effects.ts";
import type { JoinFile, JoinFormat } from "./join-format.ts";
import { pictureAfter } from "./picture.ts";
import { lengthsOf } from "./source.ts";
import { cutPicture, cutSound } from "./timeline.ts";

export interface PartChain {
  readonly chain: Chain;
  readonly heldBytes: number;
}

/** As in a pad of ours: the picture or the sound of a part. */
export const padOf = (kind: "v" | "a", n: number): string => `join${kind}${n}`;

const framesOf = (seconds: number, { num, den }: Fraction): number => Math.round((seconds * num) / den);

/** As large as the joined film, in its shape: what does not fit has bars. */
const fitted = ({ width, height }: { readonly width: number; readonly height: number }): Scale => ({
  ...{ type: "scale", width, height, mode: "pad", algorithm: "bicubic", color: "black", enlarge: true },
});

const isDeinterlaced = (operations: readonly Operation[]): boolean =>
  operations.some((operation) => operation.type === "filter" && operation.name === "deinterlace");

/** Lines of two moments cannot be scaled, nor follow whole pictures. */
function whole(video: VideoStream, operations: readonly Operation[]): Filter[] {
  if (!video.interlaced || isDeinterlaced(operations)) return [];
  return [filter("bwdif", { mode: "send_frame", deint: "interlaced" })];
}

/** To one matrix and range where they differ; the filter says so by itself in new versions only. */
function coloured(format: JoinFormat): Filter[] {
  if (format.matrix === null) return [];
  return [
    filter("scale", { out_color_matrix: format.matrix === "bt2020nc" ? "bt2020" : format.matrix, out_range: "tv" }),
    filter("format", { pix_fmts: format.pixelFormat }),
    filter("setparams", { colorspace: format.matrix, range: "tv" }),
  ];
}

/** A rate from the very beginning, to the frame: the last picture stays for as long as the file lasts. */
function timed(seconds: number | null, rate: Fraction): Filter[] {
  const steady = filter("fps", { fps: `${rate.num}/${rate.den}`, start_time: 0 });
  const clock = filter("settb", { expr: "AVTB" });
  if (seconds === null) return [steady, clock];
  const held = filter("tpad", { stop: -1, stop_mode: "clone" });
  return [steady, held, filter("trim", { end_frame: framesOf(seconds, rate) }), clock];
}

export function picturePart(file: JoinFile, format: JoinFormat, n: number, input: number): PartChain {
  const { picture } = format;
  if (picture === null) throw new Error("A join without a picture has no picture parts");
  const { width, height, rate } = picture;
  const { source, operations } = file;
  const { video } = source;
  const outputs = [padOf("v", n)];
  if (video === null) {
    const black = filter("color", { color: "black", size: `${width}x${height}`, rate: `${rate.num}/${rate.den}` });
    const filters = [
      black,
      filter("format", { pix_fmts: format.pixelFormat }),
      filter("setsar", { sar: 1 }),
      ...coloured(format),
      filter("trim", { end_frame: framesOf(file.seconds ?? 0, rate) }),
      filter("settb", { expr: "AVTB" }),
    ];
    return { chain: { inputs: [], filters, outputs }, heldBytes: 0 };
  }
  const mapped = operations.some((operation) => operation.type === "filter" && operation.name === "tonemap");
  const state = pictureAfter({
    ...{ video, inputs: file.inputs, lengths: lengthsOf(source), id: n },
    ...{ grid: { x: 2, y: 2 }, pixelFormat: format.pixelFormat },
    operations: [...operations, fitted(picture)],
  });
  const filters = [
    ...cutPicture(file.window, file.seekSeconds),
    ...whole(video, operations),
    ...(format.toSdr && !mapped && video.hdr !== "sdr" ? toneMapping(undefined, video) : []),
    ...state.filters,
    ...coloured(format),
    filter("format", { pix_fmts: format.pixelFormat }),
    filter("setsar", { sar: 1 }),
    ...timed(file.seconds, rate),
  ];
  return { chain: { inputs: [`${input}:${video.index}`], filters, outputs }, heldBytes: state.heldBytes };
}

export function soundPart(file: JoinFile, format: JoinFormat, n: number, input: number): PartChain {
  const { sound } = format;
  if (sound === null) throw new Error("A join without sound has no sound parts");
  const { sampleRate, channels } = sound;
  const outputs = [padOf("a", n)];
  const samples = file.seconds === null ? null : Math.round(file.seconds * sampleRate);
  const layout = filter("aformat", { sample_fmts: "fltp", channel_layouts: layoutOf(channels) });
  const ending = samples === null ? [] : [filter("apad"), filter("atrim", { end_sample: samples })];
  const clock = filter("asetpts", { expr: "N/SR/TB" });
  const { stream, effects, heldBytes } = file.heard;
  if (stream === null) {
    const silence = filter("anullsrc", { sample_rate: sampleRate, channel_layout: layoutOf(channels) });
    return { chain: { inputs: [], filters: [silence, layout, ...ending.slice(1), clock], outputs }, heldBytes: 0 };
  }
  const filters = [
    ...cutSound(file.window, file.seekSeconds, stream.sampleRate),
    ...effects,
    // Silence where nothing is heard yet, and where packets are missing.
    filter("aresample", { osr: sampleRate, async: 1, first_pts: 0 }),
    layout,
    ...ending,
    clock,
  ];
  return { chain: { inputs: [`${input}:${stream.index}`], filters, outputs }, heldBytes };
}

/** A picture laid over the film: how large, where, how strong and when. All of it is numbers by now. */
import { type Filter, filter } from "../filtergraph.ts";
import { inputIndexOf } from "../operations/references.ts";
import type { Length, Position } from "../operations/scalars.ts";
import type { Watermark } from "../operations/watermark.schema.ts";
import type { VideoStream } from "../types.ts";
import type { PictureContext, PictureState } from "./picture.ts";
import { invalidPlan } from "./refuse.ts";
import { chromaOf, toSource } from "./source.ts";
import { enableFor, graphZero } from "./timeline.ts";

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Of the picture's width, between what is laid over it and its edges. */
export const MARGIN_SHARE = 1 / 50;

const ratio = ({ num, den }: { num: number; den: number }): number => (num > 0 && den > 0 ? num / den : 1);

/** As wide as was asked for, in the mark's own shape on a screen, and never higher than the film. */
function sizeOf(state: PictureState, mark: VideoStream, scale: number): Size {
  const sideways = mark.rotation === 90 || mark.rotation === 270;
  const aspect = ratio(mark.sampleAspect);
  const shape = (mark.width * (sideways ? 1 / aspect : aspect)) / mark.height / ratio(state.sampleAspect);
  const width = Math.max(1, Math.round(state.width * scale));
  const height = Math.max(1, Math.round(width / shape));
  if (height <= state.height) return { width, height };
  return { width: Math.max(1, Math.round(state.height * shape)), height: state.height };
}

function along(whole: number, own: number, margin: number, name: string, near: string, far: string): number {
  if (name.includes(near)) return Math.min(margin, whole - own);
  if (name.includes(far)) return Math.max(0, whole - own - margin);
  return Math.floor((whole - own) / 2);
}

function coordinate(at: Length, whole: number, own: number): number {
  const pixels = "pixels" in at ? at.pixels : Math.round((at.percent / 100) * whole);
  return pixels < 0 ? whole - own + pixels : pixels;
}

function placeOf(state: PictureState, own: Size, { position = "bottom-right", x, y }: Watermark) {
  if (x !== undefined && y !== undefined)
    return { x: coordinate(x, state.width, own.width), y: coordinate(y, state.height, own.height) };
  const margin = Math.round(state.width * MARGIN_SHARE);
  const name: Position = position;
  return {
    x: along(state.width, own.width, margin, name, "left", "right"),
    y: along(state.height, own.height, margin, name, "top", "bottom"),
  };
}

/** The filter blends in one of these; another would cost depth or colours that the encoder keeps. */
function blendFormat(pixelFormat: string): string {
  if (!/^yuv/.test(pixelFormat)) return /^(nv12|gray)/.test(pixelFormat) ? "yuv420" : "rgb";
  const chroma = chromaOf(pixelFormat);
  const deep = /p1[0-6]/.test(pixelFormat);
  if (chroma === "444") return deep ? "yuv422p10" : "yuv444";
  const base = chroma === "422" ? "yuv422" : "yuv420";
  return deep ? `${base}p10` : base;
}

/** A film begins when it is to be shown, goes on from there where the graph begins later, and its last picture stays. */
function moving(start: number): Filter[] {
  const shift: Filter[] =
    start < 0
      ? [filter("trim", { start: -start }), filter("setpts", { expr: "PTS-STARTPTS" })]
      : [filter("setpts", { expr: start === 0 ? "PTS-STARTPTS" : `PTS-STARTPTS+${Number(start.toFixed(6))}/TB` })];
  return [...shift, filter("tpad", { stop: -1, stop_mode: "clone" })];
}

export function applyWatermark(state: PictureState, op: Watermark, context: PictureContext): PictureState {
  const { operations, index, inputs, scene, pixelFormat, path } = context;
  const planInput = inputIndexOf(operations, index);
  const input = inputs[planInput];
  const mark = input === undefined ? null : toSource(input).video;
  if (mark === null) throw invalidPlan("The watermark's file holds no picture.", `${path}.image`);
  const { moment, window, durationSeconds } = scene();
  const zero = graphZero(moment, window, durationSeconds);
  const enable = enableFor(op, zero);
  if (enable === null) return state;
  const size = sizeOf(state, mark, op.scale);
  const faded = op.opacity === 1 ? [] : [filter("colorchannelmixer", { aa: op.opacity })];
  const filters = [
    ...(mark.still ? [] : moving(op.start + zero)),
    filter("scale", { w: size.width, h: size.height, flags: "bicubic" }),
    filter("format", { pix_fmts: "rgba" }),
    ...faded,
  ];
  const overlay: Filter = {
    ...filter("overlay", {
      ...placeOf(state, size, op),
      format: blendFormat(pixelFormat),
      eof_action: "repeat",
      // What never ends must not keep the film from ending.
      shortest: mark.still ? undefined : 1,
      enable,
    }),
    beside: { input: planInput, stream: mark.index, filters },
  };
  return { ...state, changed: true, filters: [...state.filters, overlay] };
}

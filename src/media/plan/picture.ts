/**
 * The picture's way through the operations: its size after each is computed here, so that the graph holds numbers only and
 * the result can be verified. FFmpeg turns decoded pictures upright before the graph, so all sizes are as a player shows.
 */
import { type Filter, filter, printNumber } from "../filtergraph.ts";
import { afterConcat } from "../operations/concat.schema.ts";
import { type FilterOperation, numberOf } from "../operations/filter.schema.ts";
import type { Operation } from "../operations/parse.ts";
import type { Crop, Pad, Rotate, Scale } from "../operations/picture.schema.ts";
import type { AUTO, Fraction, Length } from "../operations/scalars.ts";
import type { Transcode } from "../operations/transcode.schema.ts";
import type { PlanInput, Rational, VideoStream } from "../types.ts";
import { applySubtitle } from "./captions.ts";
import { type Lengths, pictureFilters, reversedBytes, type Scene, sceneOf } from "./effects.ts";
import { invalidPlan } from "./refuse.ts";
import { rateOf } from "./source.ts";
import { applyText } from "./text.ts";
import { applyWatermark } from "./watermark.ts";

/** What sizes must be multiples of, for the pixel format that is encoded. */
export interface Grid {
  readonly x: 1 | 2;
  readonly y: 1 | 2;
}

export interface PicturePass {
  readonly filters: readonly Filter[];
  readonly file: string;
}

export interface PictureState {
  readonly width: number;
  readonly height: number;
  readonly sampleAspect: Rational;
  readonly fps: Fraction | null;
  readonly filters: readonly Filter[];
  /** Passes over the film that have to come before: what each looks at, and the file it writes for the filters here. */
  readonly passes: readonly PicturePass[];
  /** Of frames that filters hold. */
  readonly heldBytes: number;
  /** Also true when the only change is that a display matrix goes. */
  readonly changed: boolean;
  readonly warnings: readonly string[];
}

export interface PictureContext {
  readonly grid: Grid;
  readonly pixelFormat: string;
  readonly operations: readonly Operation[];
  /** Of the operation. */
  readonly index: number;
  readonly inputs: readonly PlanInput[];
  readonly rotated: boolean;
  /** Of the operation, as in `operations[2]`. */
  readonly path: string;
  readonly video: VideoStream;
  /** Names the files of passes. */
  readonly id: number;
  scene(): Scene;
}

export function startPicture(video: VideoStream): PictureState {
  const sideways = video.rotation === 90 || video.rotation === 270;
  const { num, den } = video.sampleAspect;
  const known = num > 0 && den > 0;
  const aspect = known ? { num: sideways ? den : num, den: sideways ? num : den } : { num: 1, den: 1 };
  return {
    width: video.width,
    height: video.height,
    sampleAspect: aspect,
    fps: null,
    filters: [],
    passes: [],
    heldBytes: 0,
    changed: false,
    warnings: [],
  };
}

const toGrid = (value: number, step: 1 | 2, round: (value: number) => number): number =>
  Math.max(step, round(value / step) * step);

const isSquare = ({ num, den }: Rational): boolean => num === den;

const SQUARE: Rational = { num: 1, den: 1 };

interface Scaling {
  readonly width: number;
  readonly height: number;
  readonly algorithm: string;
}

function resize(state: PictureState, { width, height, algorithm }: Scaling): PictureState {
  if (state.width === width && state.height === height && isSquare(state.sampleAspect)) return state;
  const scale = filter("scale", { w: width, h: height, flags: algorithm });
  // The filter keeps the picture's shape through its pixels' shape, which rounding to whole pixels would make odd.
  const square = filter("setsar", { sar: 1 });
  return { ...state, width, height, sampleAspect: SQUARE, changed: true, filters: [...state.filters, scale, square] };
}

/** The box that was asked for, in pixels the format can hold. */
function boxOf(
  width: number | typeof AUTO | undefined,
  height: number | typeof AUTO | undefined,
  grid: Grid,
  round = Math.floor,
) {
  return {
    width: typeof width === "number" ? toGrid(width, grid.x, round) : null,
    height: typeof height === "number" ? toGrid(height, grid.y, round) : null,
  };
}

/** Sizes with the picture's shape, inside the box or covering it. */
function proportional(
  state: PictureState,
  box: { width: number | null; height: number | null },
  cover: boolean,
  grid: Grid,
) {
  const shownWidth = (state.width * state.sampleAspect.num) / state.sampleAspect.den;
  const factors = [
    ...(box.width === null ? [] : [box.width / shownWidth]),
    ...(box.height === null ? [] : [box.height / state.height]),
  ];
  const factor = cover ? Math.max(...factors) : Math.min(...factors);
  const width = toGrid(shownWidth * factor, grid.x, Math.round);
  const height = toGrid(state.height * factor, grid.y, Math.round);
  if (cover) return { width: Math.max(width, box.width ?? 0), height: Math.max(height, box.height ?? 0) };
  return { width: Math.min(width, box.width ?? width), height: Math.min(height, box.height ?? height) };
}

function applyScale(state: PictureState, op: Scale, context: PictureContext): PictureState {
  const { grid } = context;
  const box = boxOf(op.width, op.height, grid);
  const { algorithm } = op;
  if (op.mode === "fit" || box.width === null || box.height === null) {
    const shown = (state.width * state.sampleAspect.num) / state.sampleAspect.den;
    const within = shown <= (box.width ?? shown) && state.height <= (box.height ?? state.height);
    if (!op.enlarge && within) return state;
    return resize(state, { ...proportional(state, box, false, grid), algorithm });
  }
  const whole = { width: box.width, height: box.height };
  if (op.mode === "stretch") return resize(state, { ...whole, algorithm });
  if (op.mode === "fill") {
    const covering = resize(state, { ...proportional(state, box, true, grid), algorithm });
    return cut(covering, {
      ...whole,
      x: centred(covering.width, whole.width, grid.x),
      y: centred(covering.height, whole.height, grid.y),
    });
  }
  const inside = resize(state, { ...proportional(state, box, false, grid), algorithm });
  return frame(
    inside,
    { ...whole, x: centred(whole.width, inside.width, grid.x), y: centred(whole.height, inside.height, grid.y) },
    op.color,
    context,
  );
}

interface Rectangle {
  readonly width: number;
  readonly height: number;
  readonly x: number;
  readonly y: number;
}

const centred = (outer: number, inner: number, step: 1 | 2): number => Math.floor((outer - inner) / 2 / step) * step;

function cut(state: PictureState, { width, height, x, y }: Rectangle): PictureState {
  if (width === state.width && height === state.height) return state;
  // Not exact, the filter would round sizes to the input's sampling of colours.
  const crop = filter("crop", { w: width, h: height, x, y, exact: 1 });
  return { ...state, width, height, changed: true, filters: [...state.filters, crop] };
}

function frame(
  state: PictureState,
  { width, height, x, y }: Rectangle,
  color: string,
  { pixelFormat, grid }: PictureContext,
): PictureState {
  if (width === state.width && height === state.height) return state;
  // The filter rounds to the sampling of what it is given, which must therefore hold single pixels where the grid does.
  const first = grid.x === 1 || grid.y === 1 ? [filter("format", { pix_fmts: unsampled(pixelFormat, grid) })] : [];
  const pad = filter("pad", { w: width, h: height, x, y, color });
  return { ...state, width, height, changed: true, filters: [...state.filters, ...first, pad] };
}

/** A format like it in which sizes of the grid are possible. */
function unsampled(pixelFormat: string, grid: Grid): string {
  if (pixelFormat === "pal8") return "rgba";
  if (grid.x === 2) return pixelFormat;
  return pixelFormat.replace(/^(yuva?j?)4(20|22)p/, "$1444p");
}

const toPixels = (length: Length, whole: number): number =>
  "pixels" in length ? length.pixels : (length.percent / 100) * whole;

function applyCrop(state: PictureState, op: Crop, { grid, path }: PictureContext): PictureState {
  const side = (size: Length | undefined, at: Length | undefined, whole: number, step: 1 | 2) => {
    const from = at === undefined ? null : Math.round(toPixels(at, whole));
    const wanted = size === undefined ? whole - (from ?? 0) : toPixels(size, whole);
    const length = toGrid(wanted + 1e-6, step, Math.floor);
    return { length, at: from ?? centred(whole, length, step) };
  };
  const across = side(op.width, op.x, state.width, grid.x);
  const down = side(op.height, op.y, state.height, grid.y);
  const beyond = (at: number, length: number, whole: number): boolean => at < 0 || at + length > whole;
  if (beyond(across.at, across.length, state.width) || beyond(down.at, down.length, state.height)) {
    const asked = `${across.length}x${down.length} at ${Math.max(0, across.at)},${Math.max(0, down.at)}`;
    throw invalidPlan(
      `The crop of ${asked} reaches beyond the picture, which is ${state.width}x${state.height} there.`,
      path,
    );
  }
  return cut(state, { width: across.length, height: down.length, x: across.at, y: down.at });
}

function applyPad(state: PictureState, op: Pad, context: PictureContext): PictureState {
  const { grid, path } = context;
  const side = (size: Length | undefined, at: Length | undefined, inner: number, step: 1 | 2) => {
    const whole = toGrid((size === undefined ? inner : toPixels(size, inner)) - 1e-6, step, Math.ceil);
    const from = at === undefined ? centred(whole, inner, step) : Math.floor(toPixels(at, whole) / step) * step;
    return { whole, from };
  };
  const across = side(op.width, op.x, state.width, grid.x);
  const down = side(op.height, op.y, state.height, grid.y);
  if (
    across.from + state.width > across.whole ||
    down.from + state.height > down.whole ||
    across.from < 0 ||
    down.from < 0
  ) {
    throw invalidPlan(
      `The picture, ${state.width}x${state.height} there, does not fit into a pad of ${across.whole}x${down.whole} at ${across.from},${down.from}.`,
      path,
    );
  }
  return frame(state, { width: across.whole, height: down.whole, x: across.from, y: down.from }, op.color, context);
}

const TURNS: Readonly<Record<Rotate["angle"], readonly Filter[]>> = {
  0: [],
  90: [filter("transpose", { dir: "clock" })],
  180: [filter("vflip"), filter("hflip")],
  270: [filter("transpose", { dir: "cclock" })],
};

function applyRotate(state: PictureState, { angle }: Rotate, { rotated }: PictureContext): PictureState {
  const next = {
    ...state,
    changed: state.changed || rotated || angle !== 0,
    filters: [...state.filters, ...TURNS[angle]],
  };
  if (angle === 0 || angle === 180) return next;
  const { num, den } = state.sampleAspect;
  return { ...next, width: state.height, height: state.width, sampleAspect: { num: den, den: num } };
}

/** vflip only turns the lines' order around in place, which x265 reads out of bounds: what follows it must copy. */
const FLIPS = { horizontal: ["hflip"], vertical: ["vflip", "copy"], both: ["vflip", "hflip"] } as const;

function applyTranscode(state: PictureState, op: Transcode, { grid }: PictureContext): PictureState {
  const box = boxOf(op.width, op.height, grid);
  let next = state;
  if (box.width !== null && box.height !== null) next = stretch(state, box.width, box.height);
  else if (box.width !== null || box.height !== null) {
    next = resize(state, { ...proportional(state, box, false, grid), algorithm: "bicubic" });
  }
  if (op.fps === undefined) return next;
  const rate = filter("fps", { fps: `${op.fps.num}/${op.fps.den}` });
  return { ...next, fps: op.fps, changed: true, filters: [...next.filters, rate] };
}

function stretch(state: PictureState, width: number, height: number): PictureState {
  const before = (state.width * state.sampleAspect.num) / state.sampleAspect.den / state.height;
  const distorted = Math.abs(width / height / before - 1) > 0.03;
  const warning = `The picture is stretched to ${width}x${height}; a scale operation with mode fit or pad would keep its shape.`;
  const next = resize(state, { width, height, algorithm: "bicubic" });
  return distorted ? { ...next, warnings: [...next.warnings, warning] } : next;
}

/** By the frames that the file itself counts; 0 where it does not. */
const countedFps = ({ frameCount, durationSeconds }: VideoStream): number =>
  frameCount === null || durationSeconds === null || durationSeconds <= 0 ? 0 : frameCount / durationSeconds;

function applyFilter(
  state: PictureState,
  op: FilterOperation,
  { video, id, path, scene }: PictureContext,
): PictureState {
  const added = (filters: readonly Filter[], more: Partial<PictureState> = {}): PictureState => ({
    ...state,
    ...more,
    changed: state.changed || filters.length > 0,
    filters: [...state.filters, ...filters],
  });
  const rate = state.fps ?? rateOf(video);
  if (op.name === "speed") {
    const factor = numberOf(op, "factor");
    if (factor === 1) return state;
    if (video.still) throw invalidPlan("The input is a single picture, which has no speed.", path);
    const timed = filter("setpts", { expr: `PTS/${printNumber(factor)}` });
    return added([timed, filter("fps", { fps: `${rate.num}/${rate.den}` })], { fps: rate });
  }
  if (op.name === "reverse") {
    // A rate beyond all sense counts as the usual one; the frames of such a film are there all the same.
    const counted = state.fps === null ? countedFps(video) : 0;
    const size = { width: state.width, height: state.height, fps: Math.max(rate.num / rate.den, counted) };
    return added([filter("reverse")], { heldBytes: state.heldBytes + reversedBytes(video, size, scene()) });
  }
  if (op.name === "stabilize") {
    const file = `stabilize-${id}-${state.passes.length}.trf`;
    // The filters end the program on odd sides and on packed colours.
    const even = fitGrid(state, { x: 2, y: 2 });
    const before = [...even.filters, filter("format", { pix_fmts: "yuv420p|yuv422p|yuv444p" })];
    const look = filter("vidstabdetect", { shakiness: numberOf(op, "shakiness"), result: file });
    const steady = filter("vidstabtransform", { smoothing: numberOf(op, "smoothing"), input: file });
    const passes = [...state.passes, { filters: [...before, look], file }];
    return { ...even, changed: true, filters: [...before, steady], passes };
  }
  const fps = op.name === "deinterlace" && op.mode === "field" ? { num: rate.num * 2, den: rate.den } : state.fps;
  const filters = pictureFilters(op, scene(), video);
  const useless = op.name === "tonemap" && filters.length === 0;
  const warnings = useless ? [...state.warnings, "The picture is not HDR, so tonemap has no effect."] : state.warnings;
  return added(filters, { fps, warnings });
}

function apply(state: PictureState, operation: Operation, context: PictureContext): PictureState {
  switch (operation.type) {
    case "scale":
      return applyScale(state, operation, context);
    case "crop":
      return applyCrop(state, operation, context);
    case "pad":
      return applyPad(state, operation, context);
    case "rotate":
      return applyRotate(state, operation, context);
    case "flip": {
      const flips = FLIPS[operation.direction].map((name) => filter(name));
      return { ...state, changed: true, filters: [...state.filters, ...flips] };
    }
    case "filter":
      return applyFilter(state, operation, context);
    case "watermark":
      return applyWatermark(state, operation, context);
    case "subtitle":
      return applySubtitle(state, operation, context);
    case "text":
      return applyText(state, operation, context);
    case "transcode":
      return applyTranscode(state, operation, context);
    default:
      return state;
  }
}

export interface PictureRequest {
  readonly video: VideoStream;
  /** Of the output; unique in the plan. */
  readonly id: number;
  readonly lengths: Lengths;
  readonly operations: readonly Operation[];
  readonly grid: Grid;
  readonly pixelFormat: string;
  readonly inputs: readonly PlanInput[];
}

/** The picture after `operations`; those that are not about it, or are about one of the files it was joined of, are passed over. */
export function pictureAfter({ video, lengths, ...request }: PictureRequest): PictureState {
  const { operations } = request;
  const first = afterConcat(operations);
  const shared = { ...request, rotated: video.rotation !== 0, video };
  return operations.reduce(
    (state, operation, index) =>
      index < first
        ? state
        : apply(state, operation, {
            ...shared,
            index,
            path: `operations[${index}]`,
            scene: () => sceneOf(operations, index, lengths),
          }),
    startPicture(video),
  );
}

/** Cuts off the row and the column that the grid has no room for: sharper than scaling, and nobody sees it. */
export function fitGrid(state: PictureState, grid: Grid): PictureState {
  const width = Math.floor(state.width / grid.x) * grid.x;
  const height = Math.floor(state.height / grid.y) * grid.y;
  if (width === state.width && height === state.height) return state;
  if (width === 0 || height === 0)
    return resize(state, { width: Math.max(grid.x, width), height: Math.max(grid.y, height), algorithm: "bicubic" });
  const warning = `The picture is cut from ${state.width}x${state.height} to ${width}x${height}, because its colours are stored for pairs of pixels.`;
  const next = cut(state, { width, height, x: 0, y: 0 });
  return { ...next, warnings: [...next.warnings, warning] };
}

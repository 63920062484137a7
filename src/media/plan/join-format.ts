/**
 * What the files of a `concat` become: the picture of the first that has one, as the operations before leave it, and the
 * most channels and the highest rate of their sound, so that nothing of it is lost.
 */

import { layoutOf } from "../encoders/audio.ts";
import type { Filter } from "../filtergraph.ts";
import { filter } from "../filtergraph.ts";
import { needsPicture } from "../operations/check.ts";
import { concatOf } from "../operations/concat.schema.ts";
import type { Operation } from "../operations/parse.ts";
import { inputIndexOf } from "../operations/references.ts";
import type { Fraction } from "../operations/scalars.ts";
import type { AudioStream, Capabilities, PlanInput, VideoStream } from "../types.ts";
import { pictureAfter } from "./picture.ts";
import { invalidPlan, unsupportedPlan } from "./refuse.ts";
import { soundEffects, wishesOf } from "./sound.ts";
import { chromaOf, lengthsOf, rateOf, type Source, toSource } from "./source.ts";
import { lengthOf, seekFor, type Window, windowOf } from "./timeline.ts";

export interface JoinRequest {
  readonly operations: readonly Operation[];
  readonly inputs: readonly PlanInput[];
  readonly capabilities: Capabilities;
}

export interface JoinFormat {
  readonly picture: { readonly width: number; readonly height: number; readonly rate: Fraction } | null;
  readonly pixelFormat: string;
  /** Null: all have the same. */
  readonly matrix: string | null;
  readonly toSdr: boolean;
  readonly sound: { readonly channels: number; readonly sampleRate: number } | null;
}

export interface Heard {
  readonly stream: AudioStream | null;
  readonly effects: readonly Filter[];
  readonly heldBytes: number;
}

export interface JoinFile {
  /** Place in the plan's inputs. */
  readonly planInput: number;
  readonly source: Source;
  /** That are about this file alone. */
  readonly operations: readonly Operation[];
  readonly inputs: readonly PlanInput[];
  readonly window: Window;
  readonly seekSeconds: number;
  /** What is shown of it, on the grid of frames; null when it goes on to an end that is not known. */
  readonly seconds: number | null;
  readonly heard: Heard;
}

const PLAIN: Fraction = { num: 25, den: 1 };

/** Sound ends a little behind the picture in most files, which is no reason to hold a frame. */
const TAIL_SECONDS = 0.05;

const which = (n: number): string => (n === 0 ? "The input" : `File ${n} of concat`);

function heardOf(source: Source, operations: readonly Operation[]): Heard & { channels: number; sampleRate: number } {
  const own = operations.filter(({ type }) => type !== "transcode");
  const wishes = wishesOf(own, source.durationSeconds);
  const [stream] = source.audio;
  const none = { stream: null, effects: [], heldBytes: 0, channels: 0, sampleRate: 0 };
  if (stream === undefined || wishes.removed) return none;
  const rate = stream.sampleRate > 0 ? stream.sampleRate : 48_000;
  const { filters, heldBytes } = soundEffects({ stream, wishes, name: "join" }, rate);
  const mixed = wishes.channels === null ? [] : [filter("aformat", { channel_layouts: layoutOf(wishes.channels) })];
  return {
    ...{ stream, effects: [...filters, ...mixed], heldBytes },
    channels: wishes.channels ?? stream.channels,
    sampleRate: wishes.sampleRate ?? rate,
  };
}

/**
 * Known to the frame, or not at all: what is guessed would be cut off or be followed by a gap. Only where something has to
 * be put beside it for as long as it lasts (`filled`), a guess is better than nothing.
 */
function secondsOf(
  source: Source,
  operations: readonly Operation[],
  rate: Fraction | null,
  filled: boolean,
): number | null {
  const { window, rate: speed } = windowOf(operations, source.durationSeconds);
  const { durationSeconds: whole, videoSeconds: seen } = source;
  if (whole === null || (source.durationIsGuess && window.end === null && !filled)) return null;
  const last = source.video !== null && seen !== null && Math.abs(whole - seen) < TAIL_SECONDS ? seen : whole;
  const length = lengthOf(window, last, speed) ?? 0;
  return rate === null ? length : (Math.max(1, Math.round((length * rate.num) / rate.den)) * rate.den) / rate.num;
}

function requireFilm(source: Source, operations: readonly Operation[], n: number, path: string): void {
  if (source.video?.still === true)
    throw invalidPlan(`${which(n)} is a single picture, which lasts no time; make a film of it first.`, path);
  if (source.video === null && source.audio.length === 0)
    throw invalidPlan(`${which(n)} has neither a picture nor sound.`, path);
  const index = source.video === null ? operations.findIndex(needsPicture) : -1;
  if (index >= 0)
    throw invalidPlan(`The input has no picture to ${operations[index]?.type ?? "change"}.`, `operations[${index}]`);
}

interface Seen {
  readonly source: Source;
  readonly video: VideoStream;
  readonly operations: readonly Operation[];
}

function pictureOf({ source, video, operations }: Seen, inputs: readonly PlanInput[]): JoinFormat["picture"] {
  const grid = { x: 2, y: 2 } as const;
  const lengths = lengthsOf(source);
  const state = pictureAfter({ video, operations, inputs, lengths, grid, pixelFormat: "yuv420p", id: 0 });
  const even = (pixels: number): number => Math.max(2, Math.round(pixels / 2) * 2);
  const width = even((state.width * state.sampleAspect.num) / state.sampleAspect.den);
  return { width, height: even(state.height), rate: state.fps ?? rateOf(video) };
}

const MATRICES: ReadonlySet<string> = new Set(["bt709", "smpte170m", "bt470bg", "bt2020nc"]);

/** Of the first that names one; null where all say the same, and nothing needs to be brought to it. */
function matrixOf(videos: readonly VideoStream[], toSdr: boolean): string | null {
  const said = videos.map(({ colorSpace, colorRange, hdr }) =>
    toSdr && hdr !== "sdr" ? "bt709 tv" : `${colorSpace ?? ""} ${colorRange ?? ""}`,
  );
  if (new Set(said).size < 2) return null;
  if (toSdr) return "bt709";
  return (
    videos.flatMap(({ colorSpace }) => (colorSpace !== null && MATRICES.has(colorSpace) ? [colorSpace] : []))[0] ??
    "bt709"
  );
}

/** Depth and colours of the first, without transparency. */
function pixelFormatOf(video: VideoStream | undefined, toSdr: boolean): string {
  if (video === undefined || (toSdr && video.hdr !== "sdr")) return "yuv420p";
  const chroma = chromaOf(video.pixelFormat);
  const sampled = chroma === "444" || chroma === "422" ? chroma : "420";
  return `yuv${sampled}p${video.bitDepth > 8 ? "10le" : ""}`;
}

function requireToneMapping({ capabilities }: JoinRequest, toSdr: boolean): void {
  const missing = toSdr ? ["zscale", "tonemap"].find((name) => capabilities.filters[name]?.ok === false) : undefined;
  if (missing !== undefined)
    throw unsupportedPlan(
      `Files with and without HDR cannot be joined here, because the filter ${missing} is missing.`,
    );
}

export interface Parts {
  readonly format: JoinFormat;
  readonly files: readonly JoinFile[];
}

/** Null when nothing is joined. */
export function partsOf(request: JoinRequest): Parts | null {
  const { operations, inputs } = request;
  const found = concatOf(operations);
  const [input] = inputs;
  if (found === null || input === undefined) return null;
  const first = inputIndexOf(operations, found.index);
  const further = found.operation.inputs.map((_, n) => ({ planInput: first + n, operations: [] }));
  const listed = [{ planInput: 0, operations: operations.slice(0, found.index) }, ...further];
  const opened = listed.flatMap(({ planInput, operations: own }, n) => {
    const one = inputs[planInput];
    if (one === undefined) return [];
    const path = n === 0 ? `operations[${found.index}]` : `operations[${found.index}].inputs[${n - 1}]`;
    const source = toSource(one);
    requireFilm(source, own, n, path);
    return [{ planInput, source, operations: own, path }];
  });
  const seen = opened.flatMap((one): Seen[] =>
    one.source.video === null ? [] : [{ ...one, video: one.source.video }],
  );
  const videos = seen.map(({ video }) => video);
  const toSdr = videos.some(({ hdr }) => hdr === "sdr") && videos.some(({ hdr }) => hdr !== "sdr");
  requireToneMapping(request, toSdr);
  const picture = seen[0] === undefined ? null : pictureOf(seen[0], inputs);
  const heard = opened.map(({ source, operations: own }) => heardOf(source, own));
  const channels = Math.max(...heard.map((one) => one.channels));
  const sampleRate = Math.max(...heard.map((one) => one.sampleRate));
  const format: JoinFormat = {
    ...{ picture, toSdr, matrix: matrixOf(videos, toSdr), pixelFormat: pixelFormatOf(videos[0], toSdr) },
    sound: channels === 0 ? null : { channels, sampleRate },
  };
  const files = opened.map(({ planInput, source, operations: own, path }, n): JoinFile => {
    const { window } = windowOf(own, source.durationSeconds);
    const silent = format.sound !== null && heard[n]?.stream === null;
    const dark = picture !== null && source.video === null;
    const seconds = secondsOf(source, own, picture?.rate ?? PLAIN, silent || dark);
    if (seconds === null && (silent || dark)) {
      const lacks = dark ? "picture" : "sound";
      throw invalidPlan(
        `${which(n)} has no ${lacks}, and does not say for how long the others' has to be missing; convert it to mp4 or mkv first.`,
        path,
      );
    }
    const seekSeconds = seekFor([window], source.seeksExactly);
    const { stream = null, effects = [], heldBytes = 0 } = heard[n] ?? {};
    return {
      planInput,
      source,
      operations: own,
      inputs,
      window,
      seekSeconds,
      seconds,
      heard: { stream, effects, heldBytes },
    };
  });
  return { format, files };
}

/**
 * Operations, containers with their codecs, and odd inputs, each with what a viewer has to see: the inputs show four
 * colours, and every operation says where they go.
 */
import type { ClipSpec, VideoSpec } from "./media.ts";

export type Colour = "red" | "green" | "blue" | "white" | "black" | "any";
/** What is shown at a place, as shares of the width and the height. */
export type View = (x: number, y: number) => Colour;

export interface OddInput {
  readonly name: string;
  readonly clip: ClipSpec;
  /** Null: there is no picture. */
  readonly view: View | null;
}

export interface Doing {
  readonly name: string;
  readonly operations: readonly object[];
  readonly change?: (view: View) => View;
  /** Of the length. */
  readonly speed?: number;
  /** At these shares of the film its colours are shown; 0.5 by default. */
  readonly at?: number;
  /** The sound goes, or may not be heard in its middle. */
  readonly silent?: boolean;
  /** Paths in the test's own media. */
  readonly further?: readonly ClipSpec[];
}

export interface Target {
  readonly output: string;
  readonly transcode?: object;
  readonly kind: "film" | "sound" | "picture";
}

const upright: View = (x, y) => (y < 0.5 ? (x < 0.5 ? "red" : "green") : x < 0.5 ? "blue" : "white");
const turned =
  (view: View): View =>
  (x, y) =>
    view(y, 1 - x);
/** Of a film in `view` with `width` and `height` shares of the whole around its middle. */
const within =
  (width: number, height: number) =>
  (view: View): View =>
  (x, y) => {
    const [u, v] = [(x - 0.5) / width + 0.5, (y - 0.5) / height + 0.5];
    return u < 0 || u > 1 || v < 0 || v > 1 ? "black" : view(u, v);
  };

const video = (more: VideoSpec = {}): VideoSpec => ({ width: 160, height: 120, quadrants: true, ...more });
const both = (more: VideoSpec = {}, clip: ClipSpec = {}): ClipSpec => ({ video: video(more), audio: {}, ...clip });

const input = (name: string, clip: ClipSpec, view: View | null = upright): OddInput => ({ name, clip, view });

export const INPUTS: readonly OddInput[] = [
  input("plain", both()),
  input("of odd sides", both({ width: 161, height: 119, encoder: "libx264", pixelFormat: "yuv444p" })),
  input("turned", { ...both(), rotation: 90 }, turned(upright)),
  input("upside down", { ...both(), container: "mov", rotation: 180 }, turned(turned(upright))),
  input("with a variable rate", both({ variableRate: true })),
  input("at 29.97", both({ fps: "30000/1001" })),
  input("in HDR", { ...both({ encoder: "libx265", pixelFormat: "yuv420p10le", hdr: true }), container: "mkv" }),
  input("with wide pixels", both({ sampleAspect: "4/3" })),
  input("interlaced", both({ encoder: "mpeg2video", interlaced: true }, { container: "ts" })),
  input("without sound", { video: video() }),
  input("with 5.1", { video: video(), audio: { channels: 6, sampleRate: 48_000 } }),
  input("with two tracks and captions", { ...both(), container: "mkv", audioTracks: 2, subtitles: true }),
  input("that says no length", { ...both(), container: "mkv", withoutDuration: true }),
  input("in avi", { ...both(), container: "avi" }),
  input("in webm", { ...both(), container: "webm" }),
  input("in ts", { ...both(), container: "ts" }),
  input("a gif", { container: "gif", video: video({ fps: 10 }) }),
  input("one picture", { container: "png", video: video() }),
  input("sound alone", { container: "mp3", audio: { channels: 2 } }, null),
  input("sound with a cover", { container: "mp3", audio: {}, cover: true }, null),
];

const doing = (name: string, operations: readonly object[], more: Partial<Doing> = {}): Doing => ({
  ...{ name, operations },
  ...more,
});
const MARK: ClipSpec = { container: "png", video: { width: 20, height: 20, source: "color=black" } };

export const DOINGS: readonly Doing[] = [
  doing("nothing", []),
  doing("trim", [{ type: "trim", start: 0.2, duration: 0.6 }]),
  doing("scale", [{ type: "scale", width: 96, height: 96, mode: "stretch" }]),
  doing("fit", [{ type: "scale", width: 80 }]),
  doing("crop", [{ type: "crop", width: "50%", x: 0 }], { change: (view) => (x, y) => view(x / 2, y) }),
  doing("pad", [{ type: "pad", width: "200%", height: "200%" }], { change: within(0.5, 0.5) }),
  doing("rotate", [{ type: "rotate", angle: 90 }], { change: turned }),
  doing("flip", [{ type: "flip" }], { change: (view) => (x, y) => view(1 - x, y) }),
  doing(
    "flip, then turn",
    [
      { type: "flip", direction: "vertical" },
      { type: "rotate", angle: 270 },
    ],
    {
      change: (view) => (x, y) => view(1 - y, 1 - x),
    },
  ),
  doing("blur", [{ type: "filter", name: "blur", radius: 1 }]),
  doing("denoise and sharpen", [
    { type: "filter", name: "denoise" },
    { type: "filter", name: "sharpen" },
  ]),
  doing("speed", [{ type: "filter", name: "speed", factor: 2 }], { speed: 2 }),
  doing("reverse", [{ type: "filter", name: "reverse" }]),
  doing("fade out", [{ type: "filter", name: "fade_out", duration: 0.2 }]),
  doing("stabilize", [{ type: "filter", name: "stabilize" }], { change: () => () => "any" }),
  doing("watermark", [{ type: "watermark", image: "m.png", position: "top-left", scale: 0.4, opacity: 1 }], {
    change: (view) => (x, y) => (x >= 0.4 || y > 0.75 ? view(x, y) : y < 0.5 ? "black" : "any"),
    further: [MARK],
  }),
  doing("text", [{ type: "text", text: "x", font_size: 16, position: "bottom" }], {
    change: (view) => (x, y) => (y > 0.6 && x > 0.2 && x < 0.8 ? "any" : view(x, y)),
  }),
  doing("loudness", [{ type: "audio", normalize: true }]),
  doing("mono", [{ type: "audio", channels: 1, sample_rate: 44_100 }]),
  doing("no sound", [{ type: "audio", remove: true }], { silent: true }),
  doing("join", [{ type: "concat", inputs: ["b.mp4"] }], {
    ...{ further: [both({ width: 120, height: 120, fps: 10 })], at: 0.2 },
  }),
];

export const TARGETS: readonly Target[] = [
  { output: "a.mp4", kind: "film" },
  { output: "a.mp4", transcode: { video_codec: "h264", preset: "ultrafast", crf: 18 }, kind: "film" },
  { output: "a.mp4", transcode: { video_codec: "h265", preset: "ultrafast" }, kind: "film" },
  { output: "a.mkv", transcode: { video_codec: "vp9", preset: 8, audio_codec: "opus" }, kind: "film" },
  { output: "a.mkv", transcode: { video_codec: "h264", preset: "ultrafast", audio_codec: "flac" }, kind: "film" },
  { output: "a.mkv", transcode: { video_codec: "av1", preset: 12 }, kind: "film" },
  { output: "a.webm", transcode: { video_codec: "vp8", audio_codec: "vorbis" }, kind: "film" },
  { output: "a.mov", transcode: { video_codec: "prores", audio_codec: "pcm_s16le" }, kind: "film" },
  { output: "a.avi", transcode: { audio_codec: "mp3" }, kind: "film" },
  { output: "a.ts", transcode: { video_codec: "mpeg2", audio_codec: "ac3" }, kind: "film" },
  { output: "a.gif", kind: "film" },
  { output: "a.mp3", kind: "sound" },
  { output: "a.m4a", transcode: { audio_codec: "alac" }, kind: "sound" },
  { output: "a.flac", kind: "sound" },
  { output: "a.ogg", transcode: { audio_codec: "opus" }, kind: "sound" },
  { output: "a.wav", kind: "sound" },
  { output: "a.png", kind: "picture" },
  { output: "a.jpg", kind: "picture" },
];

export interface Cell {
  readonly input: OddInput;
  readonly doing: Doing;
  readonly target: Target;
}

export const CELLS: readonly Cell[] = INPUTS.flatMap((one) =>
  DOINGS.flatMap((what) => TARGETS.map((target) => ({ input: one, doing: what, target }))),
);

export const nameOf = ({ input: one, doing: what, target }: Cell): string =>
  `${what.name} of a film ${one.name} to ${target.output} ${JSON.stringify(target.transcode ?? {})}`;

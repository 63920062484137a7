/**
 * Every parameter of every operation and every option, once: what it is given, in a request that is valid without it (or
 * with another value, where it has to be there). The tests hold that a plan changes with each, and run each for real.
 */
import type { ClipSpec } from "./media.ts";

export interface ParameterCase {
  /** `scale.width`; of filters `filter.blur.radius`; of what a list holds `stream.variants.fps`; of options `options.format`. */
  readonly parameter: string;
  readonly value: unknown;
  /** Instead of nothing, where the parameter has to be there. */
  readonly other?: unknown;
  /** The rest of its operation. */
  readonly rest?: object;
  /** The rest of the list's one element. */
  readonly element?: object;
  readonly before?: readonly object[];
  readonly after?: readonly object[];
  readonly output?: string;
  readonly media?: Media;
}

/** By what is odd about them. */
export const MEDIA = {
  film: { durationSeconds: 2, video: { width: 160, height: 120 }, audio: { channels: 2, sampleRate: 48_000 } },
  still: { container: "png", video: {} },
  hdr: { container: "mkv", video: { encoder: "libx265", pixelFormat: "yuv420p10le", hdr: true } },
  tagged: { container: "mkv", video: {}, audio: {}, metadata: { title: "A title" } },
  small: { video: { width: 64, height: 48 }, audio: {} },
} as const satisfies Readonly<Record<string, ClipSpec>>;
export type Media = keyof typeof MEDIA;

type Rest = Omit<ParameterCase, "parameter" | "value">;

const of = (type: string, shared: Rest, values: Readonly<Record<string, unknown>>): ParameterCase[] =>
  Object.entries(values).map(([name, value]) => ({ parameter: `${type}.${name}`, value, ...shared }));
const one = (parameter: string, value: unknown, more: Rest = {}): ParameterCase => ({ parameter, value, ...more });
const filter = (name: string, values: Readonly<Record<string, unknown>>, more: Rest = {}): ParameterCase[] =>
  of(`filter.${name}`, more, values);

const h264 = { video_codec: "h264" };
const sprite = { mode: "sprite", count: 4 };

const TRANSCODE = [
  one("transcode.video_codec", "h265", { output: "a.mkv" }),
  one("transcode.audio_codec", "flac", { output: "a.mkv" }),
  ...of(
    "transcode",
    { rest: h264 },
    {
      ...{ preset: "ultrafast", tune: "film", profile: "main", level: "4.1", pixel_format: "yuv444p", crf: 30 },
      ...{ video_bitrate: "300k", width: 80, height: 60, fps: 10, gop_size: 5, b_frames: 0 },
      ...{ audio_bitrate: "96k", audio_sample_rate: 44_100, audio_channels: 1, hardware_acceleration: "auto" },
    },
  ),
  one("transcode.max_bitrate", "500k", { other: "400k", rest: { ...h264, video_bitrate: "300k", buffer_size: "1M" } }),
  one("transcode.buffer_size", "2M", { rest: { ...h264, video_bitrate: "300k", max_bitrate: "500k" } }),
  one("transcode.two_pass", true, { rest: { ...h264, video_bitrate: "300k" } }),
];

const PICTURE = [
  one("trim.start", 0.5, { rest: { duration: 1 } }),
  one("trim.duration", 0.6, { rest: { start: 0.3 } }),
  one("trim.end", 1.2, { rest: { start: 0.3 } }),
  one("trim.mode", "fast", { rest: { start: 0.6 } }),
  one("scale.width", 80, { rest: { height: 90 } }),
  one("scale.height", 30, { rest: { width: 80 } }),
  one("scale.mode", "fill", { rest: { width: 80, height: 80 } }),
  one("scale.algorithm", "lanczos", { rest: { width: 80 } }),
  one("scale.color", "red", { rest: { width: 80, height: 80, mode: "pad" } }),
  one("scale.enlarge", false, { rest: { width: 320 } }),
  one("crop.width", 40, { rest: { height: 40 } }),
  one("crop.height", 40, { rest: { width: 40 } }),
  one("crop.x", 10, { rest: { width: 40 } }),
  one("crop.y", 10, { rest: { height: 40 } }),
  one("pad.width", 200, { rest: { height: 140 } }),
  one("pad.height", 140, { rest: { width: 200 } }),
  one("pad.x", 4, { rest: { width: 200 } }),
  one("pad.y", 4, { rest: { height: 140 } }),
  one("pad.color", "blue", { rest: { width: 200 } }),
  one("rotate.angle", 90, { other: 180 }),
  one("flip.direction", "vertical"),
];

const FILTERS = [
  ...filter("denoise", { strength: 6 }),
  ...filter("sharpen", { strength: 2 }),
  ...filter("blur", { radius: 4 }),
  ...filter("stabilize", { smoothing: 20, shakiness: 8 }),
  ...filter("brightness", { value: 0.2 }, { other: 0.1 }),
  ...filter("contrast", { value: 1.2 }, { other: 1.1 }),
  ...filter("saturation", { value: 0.5 }, { other: 0.7 }),
  ...filter("gamma", { value: 1.4 }, { other: 1.2 }),
  ...filter("hue", { degrees: 90 }, { other: 45 }),
  ...filter("speed", { factor: 2 }, { other: 1.5 }),
  ...filter("fade_in", { duration: 0.4, color: "white", audio: false }),
  ...filter("fade_out", { duration: 0.4, color: "white", audio: false }),
  ...filter("deinterlace", { mode: "field", all: true }),
  ...filter("tonemap", { algorithm: "mobius" }, { media: "hdr" }),
  // These have no parameters of their own: the plan changes with the name.
  one("filter.grayscale.name", "grayscale", { other: "denoise" }),
  one("filter.reverse.name", "reverse", { other: "denoise" }),
];

const text = { text: "A line" };
const OVERLAYS = [
  one("watermark.image", "logo.png", { other: "other.png" }),
  ...of(
    "watermark",
    { rest: { image: "logo.png" } },
    {
      ...{ position: "top-left", opacity: 0.4, scale: 0.3, start: 0.5, end: 1 },
    },
  ),
  one("watermark.x", 7, { other: 9, rest: { image: "logo.png", y: 5 } }),
  one("watermark.y", 7, { other: 9, rest: { image: "logo.png", x: 5 } }),
  one("text.text", "Another line", { other: "A line" }),
  ...of("text", { rest: text }, { position: "top", font_size: 9, color: "yellow", box: true, start: 0.5, end: 1 }),
  one("text.x", 7, { other: 9, rest: { ...text, y: 5 } }),
  one("text.y", 7, { other: 9, rest: { ...text, x: 5 } }),
  one("subtitle.path", "lines.srt", { other: "other.srt" }),
  one("subtitle.mode", "embed", { rest: { path: "lines.srt" } }),
  one("subtitle.language", "de", { rest: { path: "lines.srt", mode: "embed" }, output: "a.mkv" }),
  ...[{ font_size: 9 }, { color: "yellow" }, { outline_color: "red" }, { box_color: "blue" }, { bold: true }]
    .concat(...([{ italic: true }, { position: "top" }, { margin: 9 }] as never[]))
    .map((style) => one("subtitle.style", style, { rest: { path: "lines.srt" } })),
];

/** So that there is a film beside them. */
const film = [{ type: "flip" }];
const extract = { rest: { extract: true }, before: film };
const normalize = { rest: { normalize: true } };
const SOUND = [
  one("audio.extract", true, { before: film }),
  ...of("audio", {}, { volume: 0.5, channels: 1, sample_rate: 44_100, remove: true, normalize: true }),
  ...of("audio", extract, { format: "flac", output: "sound.ogg" }),
  ...of("audio", normalize, { target_lufs: -20, true_peak: -3, lra: 7 }),
];

const SIDES = [
  one("thumbnail.mode", "best", { before: film }),
  one("thumbnail.time", 1, { before: film }),
  one("thumbnail.count", 3, { before: film, rest: { mode: "multiple" } }),
  one("thumbnail.interval", 0.5, { before: film, rest: { mode: "multiple" } }),
  ...of("thumbnail", { before: film }, { width: 40, height: 30, quality: 40, format: "png", output: "still.webp" }),
  ...of("thumbnail", { before: film, rest: sprite }, { cols: 2, rows: 3 }),
  ...of(
    "preview",
    { before: film },
    { format: "mp4", start: 0.5, duration: 0.5, width: 80, fps: 5, output: "loop.mp4" },
  ),
  ...of("waveform", { before: film }, { width: 300, height: 60, color: "red", format: "json", output: "wave.json" }),
];

const CONCAT = [
  one("concat.inputs", ["small.mp4"], { other: ["film.mp4"] }),
  one("concat.transition", "fade", { rest: { inputs: ["small.mp4"] } }),
  one("concat.transition_duration", 0.2, { rest: { inputs: ["small.mp4"], transition: "fade" } }),
];

const RAW = [
  one("raw.options", [{ name: "refs", value: 3 }], {
    ...{ other: [{ name: "refs", value: 4 }], before: [{ type: "transcode", ...h264 }] },
  }),
];

const folder = { output: "package" };
const ts = { container: "ts", format: "hls" };
const variant = { ...folder, element: { height: 60 } };
const PACKAGES = [
  ...of("stream", folder, {
    ...{ format: "dash", segment_duration: 1, variants: [{ height: 60 }], audio: [{ bitrate: "96k", language: "en" }] },
    ...{ container: "ts", encryption: "cbcs", captions: [{ path: "lines.srt", language: "en" }], thumbnails: true },
  }),
  one("stream.key_uri", "https://example.org/key", { ...folder, rest: { ...ts, encryption: "aes-128" } }),
  one("stream.variants.height", 60, { ...folder, other: 90, element: {} }),
  ...of("stream.variants", variant, { width: 100, bitrate: "200k", codec: "h265", fps: 5, preset: "veryfast" }),
  ...of("stream.audio", folder, { bitrate: "96k", language: "en", codec: "opus" }),
  one("stream.captions.path", "lines.srt", { ...folder, other: "other.srt", element: { language: "en" } }),
  one("stream.captions.language", "en", { ...folder, other: "de", element: { path: "lines.srt" } }),
  one("stream.key_base", "https://example.org/keys", { ...folder, rest: { ...ts, encryption: "aes-128" } }),
];

const OPTIONS = [
  one("options.format", "mkv"),
  one("options.metadata", { title: "Mine" }),
  one("options.threads", 1, { before: [{ type: "transcode", ...h264 }] }),
  one("options.faststart", false),
  one("options.strip_metadata", true, { media: "tagged" }),
];

export const PARAMETERS: readonly ParameterCase[] = [
  ...[TRANSCODE, PICTURE, FILTERS, OVERLAYS, SOUND, SIDES, CONCAT, RAW, PACKAGES, OPTIONS].flat(),
];

/** What a parameter is of no plan for, and why. */
export const NOT_PLANNED: Readonly<Record<string, string>> = {
  "options.priority": "The queue goes by it.",
  "options.overwrite": "Publishing goes by it.",
  "options.reuse": "It is asked before anything is planned.",
  "options.preset": "It is merged into the request before anything is planned.",
  "options.verify": "Verification goes by it; its own tests hold each of its fields.",
  "options.target": "The crf that it finds is planned; its own tests hold each of its fields.",
};

/** Operation and options of a case; `with` false: without it, or with another value. */
export function requestOf(one: ParameterCase, given: boolean) {
  const [type = "", ...path] = one.parameter.split(".");
  const name = path.at(-1) ?? "";
  const value = given ? one.value : one.other;
  const set = value === undefined ? {} : { [name]: value };
  const own = type === "filter" && path.length === 2 && name !== "name" ? { name: path[0] } : {};
  const inList = type !== "filter" && path.length === 2;
  const whole = inList ? { [path[0] ?? ""]: [{ ...one.element, ...set }] } : set;
  const operation = type === "options" ? [] : [{ type, ...own, ...one.rest, ...whole }];
  return {
    operations: [...(one.before ?? []), ...operation, ...(one.after ?? [])],
    options: type === "options" ? set : {},
    output: one.output ?? "a.mp4",
    media: one.media ?? ("film" as const),
  };
}

/**
 * An exact trim of a film that can otherwise stay as it is: only the frames before its first and after its last keyframe
 * are encoded, what lies between is copied, and the pieces are joined. They travel as MPEG-TS, where each keyframe carries
 * the parameters it is decoded with, so that pieces of two encoders can follow each other.
 */

import { videoEncoder } from "../encoders/registry.ts";
import { filter, printGraph } from "../filtergraph.ts";
import { audioChoice } from "../operations/check-codec.ts";
import type { Arg, Plan, PlanStep, VideoStream } from "../types.ts";
import type { PlanContext } from "./context.ts";
import { inputArgs } from "./inputs.ts";
import type { OutputDraft } from "./output.ts";
import { fileBytes, heldMemory, memoryBytesMax, TRACK_MEMORY } from "./resources.ts";
import { wishesOf } from "./sound.ts";
import { bitsOf, heldBytesOf, soundOf, soundPart } from "./sound-part.ts";
import { fpsOf } from "./source.ts";
import { muxerArgs, soundTagArgs, tagArgs } from "./tags.ts";
import { cutPicture, seekFor, WHOLE, type Window, windowOf } from "./timeline.ts";

/** A keyframe may be this far from a time that is meant to be its own. */
const SLACK_SECONDS = 0.001;
/** Below it, three processes cost more than they save. */
const COPIED_SHARE_MIN = 0.3;
/** Where the keyframes are looked for, from each edge on. */
export const KEYFRAME_REACH_SECONDS = 20;
const CONTAINERS: ReadonlySet<string> = new Set(["mp4", "mov", "mkv"]);
/** Of the edges: hardly to be told from the original. */
const EDGE_CRF = 18;

export interface Edges {
  readonly video: VideoStream;
  readonly window: Window;
  readonly fps: number;
  /** What is copied, in the input's time; `end` null: to the end. */
  readonly middle: Window;
}

/** Why an exact trim encodes everything; null when this is no such trim. */
export type EdgesAnswer = { readonly edges: Edges } | { readonly reason: string } | null;

/** Whether nothing but an exact trim asks for encoding the picture. */
function onlyTrims({ operations, shape, source }: PlanContext): boolean {
  const { exact } = windowOf(operations, source.durationSeconds);
  const others = operations.some((one) => one.type !== "trim" && !(one.type === "audio" && !one.extract));
  return exact && !others && shape.hasPrimary && source.video !== null && CONTAINERS.has(shape.container.name);
}

/** What keeps the pieces from being joined; null when nothing does. */
function obstacle({ source, capabilities }: PlanContext, video: VideoStream): string | null {
  if (video.codec !== "h264") return `${video.codec} is not joined from pieces here`;
  if (video.pixelFormat !== "yuv420p" || video.bitDepth !== 8) return "only ordinary 8-bit pictures are joined";
  if (video.rotation !== 0) return "its display matrix would be lost";
  if (video.isVariableFps || video.interlaced) return "its frames do not come at one rate";
  if (!source.seeksExactly) return `${source.media.container} does not tell where its keyframes are`;
  if (video.reorderFrames === undefined || video.reorderFrames > 2) return "its frames are reordered too far";
  if (source.subtitles.length + source.attachments.length > 0) return "other streams travel with it";
  if (capabilities.encoders.libx264?.ok !== true) return "there is no encoder for its edges";
  return null;
}

export function edgesOf(context: PlanContext): EdgesAnswer {
  if (!onlyTrims(context)) return null;
  const { source, operations } = context;
  const { video } = source;
  const { container } = context.shape;
  if (video === null || video.still || !container.video.copies.includes(video.codec)) return null;
  const reason = obstacle(context, video);
  if (reason !== null) return { reason };
  const { keyframes } = source.media;
  if (keyframes === undefined) return { reason: "its keyframes are not known" };
  const { window } = windowOf(operations, source.durationSeconds);
  const { start, end } = window;
  const first = keyframes.find((time) => time >= start - SLACK_SECONDS);
  const last = end === null ? null : keyframes.findLast((time) => time <= end + SLACK_SECONDS);
  const until = end ?? source.durationSeconds;
  if (first === undefined || last === undefined || until === null) return { reason: "no keyframe lies inside" };
  const next = keyframes.find((time) => time > first + SLACK_SECONDS);
  if (next !== undefined && next - first < seekMargin(context) + 2 / fpsOf(video))
    return { reason: "its keyframes are too close together" };
  const copied = (last ?? until) - first;
  if (copied < (until - start) * COPIED_SHARE_MIN) return { reason: "too little lies between its keyframes" };
  return { edges: { video, window, fps: fpsOf(video), middle: { start: first, end: last } } };
}

/** Where ffprobe should look for keyframes, in seconds from the beginning; null when nobody will ask. */
export function keyframeWindows(context: PlanContext): readonly Window[] | null {
  const asked = edgesOf(context);
  if (asked === null || !("reason" in asked) || asked.reason !== "its keyframes are not known") return null;
  const { start, end } = windowOf(context.operations, context.source.durationSeconds).window;
  const head = { start, end: start + KEYFRAME_REACH_SECONDS };
  if (end === null) return [head];
  return [head, { start: Math.max(start, end - KEYFRAME_REACH_SECONDS), end: end + 0.1 }];
}

const fixed = (seconds: number): string => String(Number(seconds.toFixed(6)));
const TS = ["-muxdelay", "0", "-muxpreload", "0", "-f", "mpegts"] as const;

/** As far as the copied frames are, or the joint would run backwards in decoding order. */
const REORDERING: readonly (readonly string[])[] = [
  ["-bf:v:0", "0"],
  ["-bf:v:0", "2", "-x264-params:v:0", "b-pyramid=none"],
  ["-bf:v:0", "3", "-x264-params:v:0", "b-pyramid=normal"],
];

type Bare = Omit<PlanStep, "weight">;

function encodeEdge(context: PlanContext, { video }: Edges, id: string, window: Window): Bare {
  const { source, threads } = context;
  const seekSeconds = seekFor([window], source.seeksExactly);
  const filters = [...cutPicture(window, seekSeconds), filter("format", { pix_fmts: "yuv420p" })];
  const filterGraph = printGraph({ chains: [{ inputs: [`0:${video.index}`], filters, outputs: ["v0"] }] });
  const megapixels = (video.width * video.height) / 1e6;
  const seconds = (window.end ?? 0) - window.start;
  const file = `${id}.ts`;
  return {
    id,
    args: [
      ...["-filter_complex_threads", String(threads)],
      ...inputArgs(context, { windows: [window], seekSeconds, keyframesOnly: false }),
      ...["-filter_complex", filterGraph, "-map", "[v0]", "-c:v:0", "libx264", "-preset:v:0", "fast"],
      ...["-crf:v:0", String(EDGE_CRF), ...(REORDERING[video.reorderFrames ?? 0] ?? [])],
      ...["-threads:v:0", String(threads), "-fps_mode:v:0", "vfr", ...TS],
      { file },
    ],
    filterGraph,
    durationSeconds: seconds,
    threads,
    memoryBytesMax: memoryBytesMax([{ model: videoEncoder("h264").memory, megapixels }], megapixels, threads),
    fileBytesMax: fileBytes(megapixels * 1e6 * 8 * fpsOf(video), seconds),
    writes: [file],
  };
}

/** FFmpeg seeks by decoding times except in QuickTime's family, and for reordered frames so much earlier. */
const REORDERED_SEEK_SECONDS = 3 / 23;
const seekMargin = ({ source }: PlanContext): number =>
  source.media.demuxers.includes("mov") || (source.video?.reorderFrames ?? 0) === 0 ? 0 : REORDERED_SEEK_SECONDS;

function copyMiddle(context: PlanContext, { video, middle, fps }: Edges): Bare {
  const { source, threads } = context;
  const { start, end } = middle;
  // Half a frame beyond the keyframe, a seek lands on it whatever times were rounded to.
  const from = start + seekMargin(context) + 0.5 / fps;
  const until = end === null ? null : end - from + 1;
  const target: readonly Arg[] =
    end === null
      ? ["-f", "mpegts", { file: "middle-0.ts" }]
      : [
          ...["-f", "segment", "-segment_format", "mpegts", "-segment_times", fixed(end - from - 0.25 / fps)],
          { file: "middle-%d.ts", form: "pattern" },
        ];
  const input = inputArgs(context, { windows: [WHOLE], seekSeconds: from, keyframesOnly: false });
  const at = input.indexOf("-i");
  const timed = until === null ? input : [...input.slice(0, at), "-t", fixed(until), ...input.slice(at)];
  return {
    id: "copy",
    args: [
      ...timed,
      ...[
        "-map",
        `0:${video.index}`,
        "-c:v:0",
        "copy",
        "-bsf:v:0",
        "h264_mp4toannexb",
        "-muxdelay",
        "0",
        "-muxpreload",
        "0",
      ],
      ...target,
    ],
    filterGraph: null,
    durationSeconds: end === null ? null : end - start,
    threads,
    memoryBytesMax: memoryBytesMax([], 0, threads),
    fileBytesMax: (source.media.sizeBytes ?? context.limits.maxInputBytes) * 1.2 + 4e6,
    writes: ["middle-0.ts"],
  };
}

/** The pieces one after another, each as long as it is in the input. */
function pieceList({ window, middle, fps }: Edges, firstFrame: number, hasHead: boolean, hasTail: boolean): string {
  const piece = (file: string, seconds: number | null) => [
    `file ${file}`,
    ...(seconds === null ? [] : [`duration ${fixed(seconds)}`]),
  ];
  const end = window.end ?? 0;
  return `${[
    "ffconcat version 1.0",
    ...(hasHead ? piece("head.ts", middle.start - firstFrame) : []),
    ...piece("middle-0.ts", middle.end === null ? null : middle.end - middle.start),
    ...(hasTail ? piece("tail.ts", Math.max(1 / fps, end - (middle.end ?? end))) : []),
  ].join("\n")}\n`;
}

function join(context: PlanContext, edges: Edges, draft: OutputDraft, offset: number): Bare {
  const { source, shape, options, operations, threads } = context;
  const { container } = shape;
  const wishes = wishesOf(operations, source.durationSeconds);
  const choice = audioChoice(null, container);
  const sound = soundOf(context, { container, choice, wishes, exact: true, single: false, id: 0 });
  const seekSeconds = seekFor([edges.window], source.seeksExactly);
  const graph = { seekSeconds, input: 0, inputOf: () => 0 };
  const heard = soundPart(sound.tracks, 0, edges.window, graph, (stream, n) => soundTagArgs(stream, n, options));
  const filterGraph = heard.chains.length === 0 ? null : printGraph({ chains: heard.chains });
  const seconds = draft.durationSeconds ?? 0;
  return {
    id: "join",
    args: [
      ...inputArgs(context, { windows: [edges.window], seekSeconds, keyframesOnly: false }),
      ...["-protocol_whitelist", "file,pipe", "-format_whitelist", "concat,mpegts", "-f", "concat", "-safe", "0"],
      ...["-itsoffset", fixed(offset), "-i", { file: "pieces.txt" }],
      ...(filterGraph === null ? [] : ["-filter_complex", filterGraph]),
      ...["-map", "1:v:0", "-c:v:0", "copy"],
      ...heard.args,
      ...tagArgs(options),
      ...muxerArgs(container, options),
      { file: draft.files[0]?.file ?? "out/0" },
    ],
    filterGraph,
    durationSeconds: draft.durationSeconds,
    threads,
    memoryBytesMax: memoryBytesMax(
      [...sound.tracks.map(() => TRACK_MEMORY), ...heldMemory(heldBytesOf(sound.tracks))],
      0.001,
      threads,
    ),
    fileBytesMax:
      (source.media.sizeBytes ?? context.limits.maxInputBytes) * 1.3 + fileBytes(bitsOf(sound.tracks), seconds) + 8e6,
    writes: draft.files.map(({ file }) => file),
  };
}

/** The steps in place of the draft's own. */
export function edgeSteps(context: PlanContext, edges: Edges, draft: OutputDraft): Pick<Plan, "steps" | "files"> {
  const { window, middle, fps } = edges;
  const before = Math.floor((middle.start - window.start + SLACK_SECONDS) * fps);
  const firstFrame = middle.start - before / fps;
  const hasHead = before > 0;
  const hasTail = middle.end !== null && window.end !== null && window.end - middle.end > 0.5 / fps;
  const list = pieceList(edges, firstFrame, hasHead, hasTail);
  const steps = [
    ...(hasHead ? [encodeEdge(context, edges, "head", { start: window.start, end: middle.start })] : []),
    copyMiddle(context, edges),
    ...(hasTail ? [encodeEdge(context, edges, "tail", { start: middle.end ?? 0, end: window.end })] : []),
    join(context, edges, draft, Math.max(0, firstFrame - window.start)),
  ];
  return {
    steps: steps.map((step) => ({ ...step, weight: 1 / steps.length })),
    files: [{ file: "pieces.txt", text: list }],
  };
}

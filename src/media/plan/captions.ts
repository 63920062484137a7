/** Captions from a file: drawn by libass from a script of our writing, or as a track of ours. */
import type { AssStyle } from "../captions/ass.ts";
import type { Container } from "../containers.ts";
import { filter } from "../filtergraph.ts";
import type { Operation } from "../operations/parse.ts";
import { inputIndexOf } from "../operations/references.ts";
import type { Position } from "../operations/scalars.ts";
import type { Subtitle, SubtitleStyle } from "../operations/subtitle.schema.ts";
import type { MediaInfo, PlanFile, PlanInput } from "../types.ts";
import type { PlanContext } from "./context.ts";
import { shifted } from "./effects.ts";
import type { GraphContext } from "./output.ts";
import type { Passengers } from "./passengers.ts";
import type { PictureContext, PictureState } from "./picture.ts";
import { invalidPlan } from "./refuse.ts";
import { FONT_FAMILY, FONT_FILE, FONT_FOLDER, textFiles } from "./text.ts";
import { graphZero, lengthOf, windowOf } from "./timeline.ts";

/** Scripts are drawn on a canvas of this height, whatever the picture's is: sizes are shares of it. */
const CANVAS = { width: 1_778, height: 1_000 } as const;
const KEYPAD: Readonly<Record<Position, number>> = {
  ...{ "bottom-left": 1, bottom: 2, "bottom-right": 3, left: 4, center: 5, right: 6 },
  ...{ "top-left": 7, top: 8, "top-right": 9 },
};

function givenStyle(style: SubtitleStyle): Partial<AssStyle> {
  const { font_size: size, color, outline_color: outline, box_color: box, bold, italic, position, margin } = style;
  return {
    ...(size === undefined ? {} : { fontSize: Math.round(size * (CANVAS.height / 100)) }),
    ...(color === undefined ? {} : { color }),
    ...(outline === undefined ? {} : { outlineColor: outline }),
    ...(box === undefined ? {} : { boxColor: box }),
    ...(bold === undefined ? {} : { bold }),
    ...(italic === undefined ? {} : { italic }),
    ...(position === undefined ? {} : { alignment: KEYPAD[position] }),
    ...(margin === undefined ? {} : { margin: Math.round(margin * (CANVAS.height / 100)) }),
  };
}

const STYLE: AssStyle = {
  ...{ fontName: FONT_FAMILY, fontSize: 55, color: "ffffff", outlineColor: "000000", boxColor: null },
  ...{ bold: false, italic: false, alignment: 2, margin: 40 },
};

type Track = "srt" | "vtt" | "ass";

/** What a track is written as, its demuxer, and the codec that puts it into the container. */
const TRACKS: Readonly<Record<Track, { readonly demuxer: string; readonly codec: string }>> = {
  srt: { demuxer: "srt", codec: "subrip" },
  vtt: { demuxer: "webvtt", codec: "webvtt" },
  ass: { demuxer: "ass", codec: "ass" },
};

/** Null when the container holds no text. */
function trackFor(container: Container, media: MediaInfo | undefined): { as: Track; codec: string } | null {
  const { copies, encoder } = container.subtitles;
  if (media?.container === "ass" && copies.includes("ass")) return { as: "ass", codec: "copy" };
  if (encoder === null) return null;
  if (encoder === "webvtt") return { as: "vtt", codec: "webvtt" };
  return { as: "srt", codec: encoder === "subrip" ? "copy" : encoder };
}

const fileOf = (planInput: number, extension: string): string => `text/captions-${planInput}.${extension}`;

export interface Embedded {
  readonly planInput: number;
  readonly file: PlanFile;
  readonly input: PlanInput;
  readonly codec: string;
  readonly language: string | null;
}

function embed(context: PlanContext, operation: Subtitle, index: number): Embedded {
  const { operations, inputs, shape, source } = context;
  const planInput = inputIndexOf(operations, index);
  const input = inputs[planInput];
  const track = trackFor(shape.container, input?.media);
  if (input === undefined || track === null) {
    throw invalidPlan(
      `A ${shape.container.name} file holds no captions as text; use mode burn or another container.`,
      `operations[${index}].mode`,
    );
  }
  const before = windowOf(operations.slice(0, index), source.durationSeconds);
  const after = windowOf(operations, source.durationSeconds);
  if (before.reversed !== after.reversed)
    throw invalidPlan("Captions cannot be embedded in a film that is reversed after them.", `operations[${index}]`);
  const scale = before.rate / after.rate;
  const shiftSeconds = graphZero(before, after.window, source.durationSeconds);
  const endSeconds = lengthOf(after.window, source.durationSeconds, after.rate);
  const retiming = { shiftSeconds, scale, endSeconds };
  const file = fileOf(planInput, track.as);
  const task =
    track.as === "ass"
      ? ({ to: "ass", retiming, frame: { style: STYLE, ...CANVAS }, script: {} } as const)
      : ({ to: track.as, retiming } as const);
  const { demuxer, codec } = TRACKS[track.as];
  const media: MediaInfo = {
    ...input.media,
    demuxers: [demuxer],
    streams: input.media.streams.map((stream) => ({ ...stream, codec })),
  };
  return {
    planInput,
    file: { file, captions: { from: input.file, task } },
    input: { file, media },
    codec: track.codec,
    language: operation.language ?? null,
  };
}

/** The tracks that operations put beside the picture, in their order. */
export const embeddedOf = (context: PlanContext): readonly Embedded[] =>
  (context.output.role === "primary" ? context.operations : []).flatMap((operation, index) =>
    operation.type === "subtitle" && operation.mode === "embed" ? [embed(context, operation, index)] : [],
  );

/** Embedded tracks come after the subtitles that the input brought along. */
export function withTracks(passengers: Passengers, embedded: readonly Embedded[]): Passengers {
  const track = ({ planInput, codec, language }: Embedded, n: number, graph: GraphContext): string[] => {
    const tag = language === null ? [] : [`-metadata:s:s:${n}`, `language=${language}`];
    return ["-map", `${graph.inputOf(planInput)}:0`, `-c:s:${n}`, codec, ...tag];
  };
  return {
    ...passengers,
    subtitles: passengers.subtitles + embedded.length,
    args: (graph) => [
      ...passengers.args(graph),
      ...embedded.flatMap((one, n) => track(one, passengers.subtitles + n, graph)),
    ],
  };
}

/** Scripts to be drawn; their times are those of the operation, and the graph brings its own to them. */
function burnFiles(operations: readonly Operation[], inputs: readonly PlanInput[]): PlanFile[] {
  const retiming = { shiftSeconds: 0, scale: 1, endSeconds: null };
  return operations.flatMap((operation, index): PlanFile[] => {
    if (operation.type !== "subtitle" || operation.mode !== "burn") return [];
    const planInput = inputIndexOf(operations, index);
    const script = givenStyle(operation.style ?? {});
    const frame = { style: { ...STYLE, ...script }, ...CANVAS };
    const from = inputs[planInput]?.file ?? "";
    return [{ file: fileOf(planInput, "ass"), captions: { from, task: { to: "ass", retiming, frame, script } } }];
  });
}

/** What has to be in the work folder before anything is drawn. */
export function drawnFiles({ operations, inputs }: PlanContext): PlanFile[] {
  const files = [...textFiles(operations), ...burnFiles(operations, inputs)];
  return files.length === 0 ? [] : [...files, { file: FONT_FILE, asset: "font" }];
}

export function applySubtitle(state: PictureState, op: Subtitle, context: PictureContext): PictureState {
  if (op.mode === "embed") return state;
  const { moment, window, durationSeconds } = context.scene();
  const shift = Math.max(0, -graphZero(moment, window, durationSeconds));
  const file = fileOf(inputIndexOf(context.operations, context.index), "ass");
  const drawn = shifted("setpts", shift, filter("ass", { filename: file, fontsdir: FONT_FOLDER }));
  return { ...state, changed: true, filters: [...state.filters, ...drawn] };
}

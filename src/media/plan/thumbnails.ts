/** Pictures of the film, each a file of its own. */
import { containerNamed, splitName } from "../containers.ts";
import { type Filter, filter, printNumber } from "../filtergraph.ts";
import type { Operation } from "../operations/parse.ts";
import type { Scale } from "../operations/picture.schema.ts";
import type { SideFile } from "../operations/shape.ts";
import type { Thumbnail } from "../operations/thumbnail.schema.ts";
import type { PlannedOutput, VideoStream } from "../types.ts";
import type { PlanContext } from "./context.ts";
import { extensionOf, type GraphContext, type OutputArgs, type OutputDraft, workFile } from "./output.ts";
import { type Grid, pictureAfter } from "./picture.ts";
import { picturePreparations } from "./preparation.ts";
import { invalidPlan, overLimit } from "./refuse.ts";
import { fileBytes, heldMemory, videoBits } from "./resources.ts";
import { fpsOf, lengthsOf } from "./source.ts";
import { mapOutput, type Sheet, sheetOf, spriteMap, TILE_WIDTH, tiled } from "./sprite.ts";
import { cutPicture, lengthOf, WHOLE, type Window, windowOf } from "./timeline.ts";
import { encodeVideo } from "./video-choice.ts";
import { type EncodedVideo, encodedVideoArgs, expectedVideo, finishPicture } from "./video-part.ts";

/** Where the pictures come from: filters between the cut and the operations, and how many there are. */
interface Pick {
  readonly window: Window;
  readonly filters: readonly Filter[];
  readonly count: number;
  readonly keyframesOnly: boolean;
  /** Frames that the filters hold at once. */
  readonly framesHeld: number;
  readonly sheet?: Sheet & { readonly filmSeconds: number };
}

/** Near the end there may be no frame left after a time: then the last one before it is held, found from a little earlier. */
const RUN_UP_SECONDS = 3;
/** Of a film; where the most telling picture is looked for. */
const BEST_FRAMES_MAX = 100;
const BEST_BYTES_MAX = 200e6;
/** Keyframes are rarely further apart than this: pictures that are may be made of them alone. */
const KEYFRAME_INTERVAL_SECONDS = 10;

const PAIRS: Grid = { x: 2, y: 2 };

/** How long the film is that pictures are taken of: the whole, and its picture alone. */
interface Film {
  readonly durationSeconds: number | null;
  readonly videoSeconds: number | null;
}

function pickAt(base: Window, seconds: number, film: Film, video: VideoStream): Pick {
  const start = base.start + seconds;
  const none = { filters: [], count: 1, keyframesOnly: false, framesHeld: 1 };
  const last = Math.min(base.end ?? Number.POSITIVE_INFINITY, film.videoSeconds ?? Number.POSITIVE_INFINITY);
  const margin = Math.max(0.2, 3 / fpsOf(video));
  // Whatever comes after the one frame is dropped before it costs anything.
  const first = filter("select", { expr: "eq(n,0)" });
  if (start + margin < last) return { ...none, filters: [first], window: { start, end: null } };
  const early = Math.max(base.start, Math.min(start, last) - RUN_UP_SECONDS);
  const filters = [
    filter("tpad", { stop_mode: "clone", stop_duration: RUN_UP_SECONDS + margin + Math.max(0, start - last) }),
    ...(start > early ? [filter("trim", { start: start - early - 0.001 })] : []),
    first,
  ];
  return { ...none, window: { start: early, end: base.end }, filters };
}

function singleTime(thumbnail: Thumbnail, base: Window, film: Film, index: number): number {
  const length = lengthOf(base, film.durationSeconds);
  if (thumbnail.time === undefined) return length === null ? 0 : length / 10;
  if (length !== null && thumbnail.time > length + 0.001) {
    throw invalidPlan(
      `The thumbnail is to be taken at ${printNumber(thumbnail.time)} s, but there are only ${printNumber(length)} s.`,
      `operations[${index}].time`,
    );
  }
  return thumbnail.time;
}

/** `count` pictures, `interval` apart, the first at `first`: frames held as they would be on a screen at those times. */
function pickEvenly(base: Window, first: number, interval: number, count: number): Pick {
  const milliseconds = Math.max(1, Math.round(interval * 1_000));
  const rate = interval < 1_000 ? `1000/${milliseconds}` : `1/${Math.round(interval)}`;
  return {
    window: base,
    filters: [
      filter("tpad", { stop_mode: "clone", stop_duration: interval * 2 }),
      ...(first > 0 ? [filter("setpts", { expr: `PTS-${printNumber(first)}/TB` })] : []),
      filter("fps", { fps: rate, start_time: 0, round: "up" }),
    ],
    count,
    keyframesOnly: interval >= KEYFRAME_INTERVAL_SECONDS,
    framesHeld: 2,
  };
}

/** Seconds that pictures can be spread over. */
function spreadOver(base: Window, film: Film, index: number): number {
  const whole = lengthOf(base, film.durationSeconds);
  const shown =
    film.videoSeconds === null
      ? null
      : Math.max(0, Math.min(base.end ?? Number.POSITIVE_INFINITY, film.videoSeconds) - base.start);
  const length = whole === null || shown === null ? (whole ?? shown) : Math.min(whole, shown);
  if (length === null || length <= 0) {
    throw invalidPlan(
      "The input does not say how long it is, so its thumbnails cannot be spread over it; use mode single with a time.",
      `operations[${index}].mode`,
    );
  }
  return length;
}

function pickMultiple(thumbnail: Thumbnail, base: Window, film: Film, index: number): Pick {
  const length = spreadOver(base, film, index);
  if (thumbnail.interval !== undefined) {
    const count = Math.max(1, Math.ceil(length / thumbnail.interval - 0.001));
    return pickEvenly(base, 0, thumbnail.interval, count);
  }
  const count = thumbnail.count ?? 5;
  return pickEvenly(base, length / count / 2, length / count, count);
}

/** Each from the middle of the time that it stands for. */
function pickSprite(thumbnail: Thumbnail, base: Window, film: Film, index: number): Pick {
  const filmSeconds = spreadOver(base, film, index);
  const sheet = sheetOf(thumbnail, filmSeconds, index);
  const first = Math.min(sheet.intervalSeconds, filmSeconds) / 2;
  const even = pickEvenly(base, first, sheet.intervalSeconds, sheet.count);
  return { ...even, count: 1, framesHeld: 2, sheet: { ...sheet, filmSeconds } };
}

function pickBest(base: Window, film: Film, frameBytes: number): Pick {
  const length = lengthOf(base, film.durationSeconds);
  const held = Math.max(2, Math.min(BEST_FRAMES_MAX, Math.floor(BEST_BYTES_MAX / Math.max(1, frameBytes))));
  return {
    window: base,
    filters: [filter("thumbnail", { n: held })],
    count: 1,
    keyframesOnly: length !== null && length >= KEYFRAME_INTERVAL_SECONDS * 6,
    framesHeld: held,
  };
}

function pick(thumbnail: Thumbnail, base: Window, film: Film, index: number, video: VideoStream): Pick {
  if (video.still) return { window: base, filters: [], count: 1, keyframesOnly: false, framesHeld: 1 };
  if (thumbnail.mode === "multiple") return pickMultiple(thumbnail, base, film, index);
  if (thumbnail.mode === "sprite") return pickSprite(thumbnail, base, film, index);
  if (thumbnail.mode === "best") return pickBest(base, film, video.width * video.height * 3);
  return pickAt(base, singleTime(thumbnail, base, film, index), film, video);
}

/** Fades, speeds and the like go by the film's time, so that pictures are taken only after them. */
const goesByTime = (operation: Operation): boolean =>
  operation.type === "filter"
    ? ["fade_in", "fade_out", "speed", "reverse", "stabilize"].includes(operation.name)
    : operation.type === "watermark" || operation.type === "text" || operation.type === "subtitle";

interface Picked extends Pick {
  /** Filters after the operations. */
  readonly late: readonly Filter[];
}

function fewEnough(picked: Pick, { limits }: PlanContext): Pick {
  if (picked.count <= limits.maxOutputs) return picked;
  throw overLimit(`The thumbnails would be ${picked.count} files; at most ${limits.maxOutputs} are allowed.`);
}

function pickFor(
  context: PlanContext,
  { operation, index }: SideFile & { readonly operation: Thumbnail },
  video: VideoStream,
): Picked {
  const { source } = context;
  const earlier = context.operations.slice(0, index);
  const { window, rate } = windowOf(earlier, source.durationSeconds);
  if (!earlier.some(goesByTime))
    return { ...fewEnough(pick(operation, window, source, index, video), context), late: [] };
  const film = {
    durationSeconds: lengthOf(window, source.durationSeconds, rate),
    videoSeconds: lengthOf(window, source.videoSeconds, rate),
  };
  const picked = fewEnough(pick(operation, WHOLE, film, index, video), context);
  const late = [...cutPicture(picked.window, 0), ...picked.filters];
  return { ...picked, window, filters: [], late, keyframesOnly: false };
}

function sized(thumbnail: Thumbnail): Scale[] {
  const free = typeof thumbnail.width !== "number" && typeof thumbnail.height !== "number";
  if (free && thumbnail.mode !== "sprite") return [];
  const { width, height } = free ? { width: TILE_WIDTH, height: undefined } : thumbnail;
  return [{ type: "scale", width, height, mode: "fit", algorithm: "bicubic", color: "black", enlarge: true }];
}

/** What came before it in the list and is about the picture; a transcode is about the main output alone. */
const before = (operations: readonly Operation[], index: number): readonly Operation[] =>
  operations.slice(0, index).filter(({ type }) => type !== "transcode");

function filesOf(id: number, side: SideFile, part: EncodedVideo, count: number, outputStem: string): PlannedOutput[] {
  const { container, name } = side;
  const expect = {
    demuxers: container.demuxers,
    durationSeconds: null,
    durationToleranceSeconds: 0,
    video: [expectedVideo(part)],
    audio: [],
    subtitles: 0,
    still: true,
  };
  const numbered = (n: number): string | null => {
    if (name === null)
      return n === 1 ? null : `${outputStem}-thumbnail-${n}.${container.extensions[0] ?? container.name}`;
    if (count === 1) return name;
    const { stem, extension } = splitName(name);
    return `${stem}-${n}.${extension}`;
  };
  return Array.from({ length: count }, (_, k) => ({
    role: "thumbnail" as const,
    file: count === 1 ? workFile(id, container) : workFile(id, container, k + 1),
    name: numbered(k + 1),
    mediaType: container.mediaType,
    expect,
  }));
}

function build(part: EncodedVideo, picked: Pick, side: SideFile, graph: GraphContext): OutputArgs {
  const { chains, args } = encodedVideoArgs(part, graph, null, picked.filters);
  const { container } = side;
  const extension = extensionOf(container);
  const target =
    picked.count === 1
      ? ["-f", container.muxer, { file: workFile(part.id, container) }]
      : ["-f", "image2", "-start_number", "1", { file: `out/${part.id}-%d.${extension}`, form: "pattern" as const }];
  const timing = picked.count === 1 ? [] : ["-fps_mode:v:0", "passthrough"];
  return { chains, args: [...args, ...timing, "-frames:v:0", String(picked.count), "-map_metadata", "-1", ...target] };
}

type ThumbnailSide = SideFile & { readonly operation: Thumbnail };

/** The encode of one picture, and where it comes from. */
function partFor(context: PlanContext, side: ThumbnailSide, id: number, video: VideoStream) {
  const { operation, index, container } = side;
  const encode = encodeVideo({
    choice: container.video.encodes[0] ?? null,
    video,
    container: containerNamed(container.name) ?? container,
    capabilities: context.capabilities,
    transcode: null,
    still: true,
    quality: operation.quality ?? null,
  });
  const { grid, pixelFormat } = encode;
  const state = pictureAfter({
    // The colours of tiles must not run into each other.
    ...{ video, grid: operation.mode === "sprite" ? PAIRS : grid, pixelFormat, id, inputs: context.inputs },
    operations: [...before(context.operations, index), ...sized(operation)],
    lengths: lengthsOf(context.source),
  });
  const one = finishPicture(state, encode, container, video, true);
  const picked = pickFor(context, side, video);
  const late = { ...one, filters: [...one.filters, ...picked.late] };
  const part: EncodedVideo = {
    ...{ id, video, encode, container, threads: context.threads },
    picture: picked.sheet === undefined ? late : tiled(late, picked.sheet),
    window: picked.window,
    frames: picked.count,
    still: true,
    countedInput: false,
  };
  return { part, picked, tile: one };
}

/** `outputName`: of the main output, which the first file of a job may be. */
export function draftThumbnail(context: PlanContext, side: ThumbnailSide, id: number, outputName: string): OutputDraft {
  const { operation, index, container } = side;
  const { video } = context.source;
  if (video === null) throw invalidPlan("The input has no picture to take a thumbnail of.", `operations[${index}]`);
  if (video.still && operation.mode === "sprite")
    throw invalidPlan("The input is a single picture, which gives no sprite.", `operations[${index}].mode`);
  const { part, picked, tile } = partFor(context, side, id, video);
  const { picture, encode } = part;
  const bits = videoBits(encode, picture.width * picture.height, 1, context.limits);
  const heldMb = (picked.framesHeld * video.width * video.height * 3) / 1e6;
  const { memory } = encode.encoder;
  const { stem } = splitName(outputName);
  const files = filesOf(id, side, part, picked.count, stem);
  if (picked.sheet !== undefined) {
    const name = side.name ?? outputName.slice(outputName.lastIndexOf("/") + 1);
    const text = spriteMap(picked.sheet, tile, name, picked.sheet.filmSeconds);
    files.push(mapOutput(id, `${splitName(name).stem}.vtt`, text));
  }
  return {
    id,
    container,
    window: picked.window,
    seek: "free",
    keyframesOnly: picked.keyframesOnly,
    durationSeconds: null,
    memory: [
      ...heldMemory(picture.heldBytes),
      { model: { ...memory, baseMb: memory.baseMb + heldMb }, megapixels: (picture.width * picture.height) / 1e6 },
    ],
    bytesMax: fileBytes(bits.most, 1),
    bytesLikely: fileBytes(bits.most, 1) * picked.count,
    files,
    warnings: picture.warnings,
    copies: false,
    preparations: picturePreparations(video, picture, picked.window),
    needs: [],
    measures: [],
    twoPass: false,
    build: (graph) => build(part, picked, side, graph),
  };
}

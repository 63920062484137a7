/**
 * A package for adaptive players: one decode feeds an encoder per rendition, all with one plan of key frames; a second
 * program then cuts the results into segments and writes the playlists.
 */
import { type Chain, filter, printGraph } from "../filtergraph.ts";
import type { Fraction } from "../operations/scalars.ts";
import type { StreamOperation } from "../operations/stream.schema.ts";
import { drawnFiles } from "../plan/captions.ts";
import type { PlanContext } from "../plan/context.ts";
import { toleranceSeconds } from "../plan/expect.ts";
import { furtherInputs, inputArgs } from "../plan/inputs.ts";
import { invalidPlan, overLimit } from "../plan/refuse.ts";
import { assumedSeconds, fileBytes, memoryBytesMax, TRACK_MEMORY, videoBits } from "../plan/resources.ts";
import { soundArgs } from "../plan/sound.ts";
import { fpsOf } from "../plan/source.ts";
import { cutPicture, cutSound, lengthOf, seekFor, type Window, windowOf } from "../plan/timeline.ts";
import type { Arg, PackagePlan, PackageRendition, Plan, PlanStep } from "../types.ts";
import { type CaptionRendition, captionFile, captionsOf, toPackaged } from "./captions.ts";
import { framesOf, type GopPlan, gopPlan } from "./gop.ts";
import { DASH_MANIFEST, MASTER, type PackagedStream, packagerArgs } from "./packager-args.ts";
import { type Pictures, picturesOf, type SoundRendition, soundsOf, steadyRate } from "./renditions.ts";

export interface StreamRequest {
  readonly context: PlanContext;
  readonly operation: StreamOperation;
  /** The last part of `output_path`. */
  readonly outputName: string;
  /** Of one attempt alone: its segments are nobody else's, whatever is published beside them. */
  readonly attemptName: string;
}

const SEGMENTS_MAX = 20_000;
const PACKAGER_MEMORY_BYTES = 1_500e6;
const PACKAGING_WEIGHT = 0.05;
/** Segments, playlists and boxes beside the media. */
const PACKAGE_SHARE = 1.1;

interface Drawn {
  readonly request: StreamRequest;
  readonly pictures: Pictures | null;
  readonly sounds: readonly SoundRendition[];
  readonly captions: readonly CaptionRendition[];
  readonly gop: GopPlan;
  readonly window: Window;
  readonly seekSeconds: number;
  readonly seconds: number | null;
}

const fileOf = (id: string): string => `out/renditions/${id}.mp4`;

function pictureChains({ pictures, window, seekSeconds }: Drawn): Chain[] {
  if (pictures === null) return [];
  const { video, state, fps, renditions } = pictures;
  const rate = ({ num, den }: Fraction) => filter("fps", { fps: `${num}/${den}` });
  const labels = renditions.map(({ id }) => `s${id}`);
  const head: Chain = {
    inputs: [`0:${video.index}`],
    filters: [
      ...cutPicture(window, seekSeconds),
      ...state.filters,
      rate(fps),
      ...(renditions.length > 1 ? [filter("split", { outputs: renditions.length })] : []),
    ],
    outputs: labels,
  };
  const rungs = renditions.map(({ id, rung, encode }, index) => ({
    inputs: [labels[index] ?? ""],
    filters: [
      ...(rung.fps.num === fps.num && rung.fps.den === fps.den ? [] : [rate(rung.fps)]),
      filter("scale", { w: rung.width, h: rung.height, flags: "bicubic" }),
      filter("setsar", { sar: 1 }),
      filter("format", { pix_fmts: encode.pixelFormat }),
    ],
    outputs: [id],
  }));
  return [head, ...rungs];
}

function pictureArgs({ pictures, gop, request }: Drawn): Arg[] {
  return (pictures?.renditions ?? []).flatMap(({ id, rung, encode }) => [
    ...["-map", `[${id}]`, "-c:v:0", encode.name],
    ...encode.encoder.args(encode.settings, {
      ...{ encoder: encode.name, pixelFormat: encode.pixelFormat, width: rung.width, height: rung.height },
      ...{ fps: rung.fps.num / rung.fps.den, threads: request.context.threads, pass: null },
    }),
    ...["-keyint_min:v:0", String(framesOf(gop, rung.fps)), "-sc_threshold:v:0", "0", "-fps_mode:v:0", "cfr"],
    ...["-map_metadata", "-1", "-map_chapters", "-1", "-f", "mp4"],
    { file: fileOf(id) },
  ]);
}

function soundParts({ sounds, window, seekSeconds }: Drawn): { readonly chains: Chain[]; readonly args: Arg[] } {
  const chains: Chain[] = [];
  const args: Arg[] = [];
  for (const { id, stream, way } of sounds) {
    const filters = [...cutSound(window, seekSeconds, stream.sampleRate), ...way.filters];
    const source = `0:${stream.index}`;
    if (filters.length > 0) chains.push({ inputs: [source], filters, outputs: [id] });
    args.push("-map", filters.length > 0 ? `[${id}]` : source, ...soundArgs({ kind: "encode", ...way }, 0));
    args.push("-map_metadata", "-1", "-map_chapters", "-1", "-f", "mp4", { file: fileOf(id) });
  }
  return { chains, args };
}

interface Sizes {
  readonly largestBytes: number;
  readonly allBytes: number;
}

function sizesOf({ pictures, sounds, captions, seconds, request }: Drawn): Sizes {
  const { limits } = request.context;
  const length = seconds ?? assumedSeconds(request.context);
  const bits = [
    ...(pictures?.renditions ?? []).map(({ rung, encode }) =>
      videoBits(encode, rung.width * rung.height, rung.fps.num / rung.fps.den, limits),
    ),
    ...sounds.map(({ way }) => ({ likely: (way.bitrate ?? 512_000) * 1.2, most: (way.bitrate ?? 512_000) * 2 })),
  ];
  return {
    largestBytes: Math.max(...bits.map(({ most }) => fileBytes(most, length))),
    allBytes:
      bits.reduce((sum, { likely }) => sum + fileBytes(likely, length), 0) +
      captions.reduce((sum, { input }) => sum + (input.media.sizeBytes ?? 0), 0),
  };
}

function encodeStep(drawn: Drawn, sizes: Sizes): PlanStep {
  const { request, pictures, sounds, window, seekSeconds, seconds } = drawn;
  const { context } = request;
  const sound = soundParts(drawn);
  const drawnChains = [...pictureChains(drawn), ...sound.chains];
  const further = furtherInputs(context, drawnChains);
  const chains = further.unfold(drawnChains);
  const filterGraph = chains.length === 0 ? null : printGraph({ chains });
  const { video } = context.source;
  const uses = [
    ...(pictures?.renditions ?? []).map(({ rung, encode }) => ({
      model: encode.encoder.memory,
      megapixels: (rung.width * rung.height) / 1e6,
    })),
    ...sounds.map(() => TRACK_MEMORY),
  ];
  return {
    id: "encode",
    args: [
      ...["-filter_complex_threads", String(context.threads)],
      ...inputArgs(context, { windows: [window], seekSeconds, keyframesOnly: false }),
      ...further.args,
      ...(filterGraph === null ? [] : ["-filter_complex", filterGraph]),
      ...pictureArgs(drawn),
      ...sound.args,
    ],
    filterGraph,
    durationSeconds: seconds,
    weight: 1 - PACKAGING_WEIGHT,
    threads: context.threads,
    memoryBytesMax: memoryBytesMax(
      uses,
      (video === null ? 0 : (video.width * video.height) / 1e6) + further.megapixels,
      context.threads,
    ),
    fileBytesMax: sizes.largestBytes,
    writes: [...(pictures?.renditions ?? []), ...sounds].map(({ id }) => fileOf(id)),
  };
}

function renditionsOf({ pictures, sounds, captions }: Drawn): PackageRendition[] {
  const seen = (pictures?.renditions ?? []).map(
    ({ id, rung, encode }): PackageRendition => ({
      ...{ id, kind: "video", codec: encode.encoder.probed, bitrate: rung.bitrate, width: rung.width },
      ...{ height: rung.height, fps: rung.fps.num / rung.fps.den, language: null, group: null },
    }),
  );
  const heard = sounds.map(
    ({ id, way, language, group }): PackageRendition => ({
      ...{ id, kind: "audio", codec: way.encoder.probed, bitrate: way.bitrate ?? 0, width: null, height: null },
      ...{ fps: null, language, group },
    }),
  );
  const read = captions.map(
    ({ id, language, group }): PackageRendition => ({
      ...{ id, kind: "text", codec: "webvtt", bitrate: 0, width: null, height: null, fps: null, language, group },
    }),
  );
  return [...seen, ...heard, ...read];
}

function packageOf(drawn: Drawn): PackagePlan {
  const { request, gop, seconds, pictures } = drawn;
  const { operation, context, outputName, attemptName } = request;
  const { encryption } = operation;
  const slowest = Math.min(...(pictures?.renditions ?? []).map(({ rung }) => rung.fps.num / rung.fps.den), 30);
  return {
    ...{ folder: "out/package", name: outputName.slice(outputName.lastIndexOf("/") + 1), segments: attemptName },
    container: operation.container,
    hls: operation.format === "dash" ? null : MASTER,
    dash: operation.format === "hls" ? null : DASH_MANIFEST,
    ...gop,
    durationSeconds: seconds,
    durationToleranceSeconds: toleranceSeconds({
      ...{ source: context.source, durationSeconds: seconds, fps: slowest, fromKeyframe: false, guessed: false },
      ...{ startSeconds: drawn.window.start, subtitlesCut: false },
    }),
    renditions: renditionsOf(drawn),
    ...{ thumbnails: operation.thumbnails, encryption },
    keyUri: operation.key_uri ?? null,
    keyBase: operation.key_base ?? null,
  };
}

function packageStep(drawn: Drawn, plan: PackagePlan, sizes: Sizes): PlanStep {
  const seen = (drawn.pictures?.renditions ?? []).map(
    ({ id }): PackagedStream => ({
      ...{ id, kind: "video", file: fileOf(id), language: null, group: null, name: null },
    }),
  );
  const heard = drawn.sounds.map(
    ({ id, language, group, name }): PackagedStream => ({
      ...{ id, kind: "audio", file: fileOf(id), language, group, name },
    }),
  );
  return {
    id: "package",
    program: "packager",
    ...(plan.encryption === "cbcs" ? { encrypts: true } : {}),
    args: packagerArgs(plan, [...seen, ...heard, ...drawn.captions.map(toPackaged)]),
    filterGraph: null,
    durationSeconds: null,
    weight: PACKAGING_WEIGHT,
    threads: 1,
    memoryBytesMax: PACKAGER_MEMORY_BYTES,
    fileBytesMax: sizes.largestBytes,
    writes: [`${plan.folder}/${MASTER}`],
  };
}

function refuseTooMany(drawn: Drawn, count: number): void {
  const segments = ((drawn.seconds ?? 0) / drawn.gop.segmentSeconds) * count;
  if (segments <= SEGMENTS_MAX) return;
  throw overLimit(
    `The package would have ${Math.ceil(segments)} segments; at most ${SEGMENTS_MAX} are allowed: take a longer segment_duration or fewer variants.`,
  );
}

export function compileStream(request: StreamRequest): Plan {
  const { context, operation } = request;
  const { source, operations } = context;
  // The rates decide on the key frames, and the key frames are an encoder's setting: drawn once for the rates alone.
  const draft = picturesOf(context, operation, () => 1);
  const rates = draft?.renditions.map(({ rung }) => rung.fps) ?? [
    steadyRate(source.video === null ? 25 : fpsOf(source.video)),
  ];
  const gop = gopPlan(rates, operation.segment_duration);
  if (gop === null) {
    throw invalidPlan(
      "The variants' frame rates have no instants in common; each must be a whole multiple of the slowest.",
      "variants",
    );
  }
  const pictures = draft === null ? null : picturesOf(context, operation, (fps) => framesOf(gop, fps));
  const sounds = soundsOf(context, operation);
  if (pictures === null && sounds.length === 0)
    throw invalidPlan("The input has neither a picture nor sound to package.");
  const { window } = windowOf(operations, source.durationSeconds);
  const seekSeconds = seekFor([window], source.seeksExactly);
  const seconds = lengthOf(window, source.durationSeconds);
  const captions = captionsOf(context.inputs, operations, operation);
  const drawn: Drawn = { request, pictures, sounds, captions, gop, window, seekSeconds, seconds };
  refuseTooMany(drawn, (pictures?.renditions.length ?? 0) + sounds.length);
  const sizes = sizesOf(drawn);
  const plan = packageOf(drawn);
  const warnings = [
    ...source.media.warnings,
    ...(pictures?.state.warnings ?? []),
    ...(pictures?.renditions.flatMap(({ encode }) => encode.warnings) ?? []),
    ...sounds.flatMap(({ way }) => way.warnings),
  ];
  return {
    version: 1,
    files: [...drawnFiles(context), ...captions.map((one) => captionFile(one, window, seconds))],
    steps: [encodeStep(drawn, sizes), packageStep(drawn, plan, sizes)],
    outputs: [],
    package: plan,
    warnings: [...new Set(warnings)],
    copiesOnly: false,
    workBytesMax: Math.ceil(sizes.allBytes * (1 + PACKAGE_SHARE)),
  };
}

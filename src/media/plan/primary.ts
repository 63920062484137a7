/** The film or the sound at `output_path`. */
import { isPicture, isSoundOnly } from "../containers.ts";
import { needsPicture } from "../operations/check.ts";
import { audioChoice, type VideoChoice, videoChoice } from "../operations/check-codec.ts";
import type { ExpectedVideo, PlannedOutput, VideoStream } from "../types.ts";
import { embeddedOf, withTracks } from "./captions.ts";
import type { PlanContext } from "./context.ts";
import { isGuessed, toleranceSeconds } from "./expect.ts";
import { type GraphContext, type MemoryUse, type OutputArgs, type OutputDraft, workFile } from "./output.ts";
import { type Passengers, passengersOf } from "./passengers.ts";
import { pictureAfter } from "./picture.ts";
import { givenOf, type Picture, videoStreamsOf } from "./picture-way.ts";
import { picturePreparations, soundPreparations } from "./preparation.ts";
import { rawArgs } from "./raw.ts";
import { invalidPlan, unsupportedPlan } from "./refuse.ts";
import { assumedSeconds, copiedBytes, fileBytes, heldMemory, TRACK_MEMORY, videoBits } from "./resources.ts";
import { changesSound, wishesOf } from "./sound.ts";
import { bitsOf, expectedAudio, heldBytesOf, type Sound, soundOf, soundPart } from "./sound-part.ts";
import { fpsOf, lengthsOf } from "./source.ts";
import { muxerArgs, needsKeyedTags, soundTagArgs, tagArgs } from "./tags.ts";
import { lengthOf, type Window, windowOf } from "./timeline.ts";
import { encoderForSize, encodeVideo, HDR_WARNING, obstacleToCopy } from "./video-choice.ts";
import {
  encodedVideoArgs,
  expectedVideo,
  finishPicture,
  outputFps,
  paletteBytes,
  tagArgs as videoTagArgs,
} from "./video-part.ts";

const PASS_LOG = "pass";

/** Why the picture cannot simply be copied; null when it can. */
function reasonToEncode(context: PlanContext, video: VideoStream, choice: VideoChoice, exact: boolean): string | null {
  const { source, shape, operations } = context;
  const { container } = shape;
  if (choice !== null && choice !== "copy") return "a codec was named";
  const obstacle = obstacleToCopy(video, container, source.media.demuxers);
  if (choice === "copy") {
    if (obstacle !== null)
      throw invalidPlan(`The picture cannot be copied: ${obstacle}. Name a video_codec or another container.`);
    return null;
  }
  if (obstacle !== null) return obstacle;
  if (exact) return "an exact trim";
  const lengths = lengthsOf(source);
  const { inputs } = context;
  const any = { grid: { x: 1, y: 1 }, pixelFormat: "yuv444p", id: context.output.id } as const;
  const probe = pictureAfter({ video, operations, inputs, lengths, ...any });
  return probe.changed ? "an operation on the picture" : null;
}

function requirePicture({ source, operations, shape }: PlanContext): void {
  if (source.video !== null) return;
  const index = operations.findIndex(needsPicture);
  if (index >= 0)
    throw invalidPlan(`The input has no picture to ${operations[index]?.type ?? "change"}.`, `operations[${index}]`);
  if (isPicture(shape.container))
    throw invalidPlan(`The input has no picture, so it cannot become ${shape.container.name}.`);
}

/** The first ffprobe that reads animated WebP. */
const WEBP_PROBER_MAJOR = 9;

/** Animated WebP can be written by all, but be read back, and so be verified, by new versions only. */
function requireReadable({ shape, capabilities }: PlanContext): void {
  const prober = Number.parseInt(capabilities.ffprobeVersion.replace(/^\D*/, ""), 10);
  if (shape.container.name !== "webp" || !(prober < WEBP_PROBER_MAJOR)) return;
  throw unsupportedPlan(
    "Animated WebP cannot be verified here, because ffprobe is too old to read it; use gif or webm.",
  );
}

function pictureFor(context: PlanContext, choice: VideoChoice): Picture {
  const { source, shape, operations, capabilities, threads } = context;
  const { container } = shape;
  requirePicture(context);
  const { video } = source;
  if (video === null || choice === "none") return { kind: "none" };
  if (video.still && !isPicture(container)) {
    throw invalidPlan(
      `The input is a single picture, which cannot become ${container.name}; use png, jpg, webp or gif.`,
    );
  }
  const { window, exact, rate } = windowOf(operations, source.durationSeconds);
  if (reasonToEncode(context, video, choice, exact) === null) {
    return {
      kind: "copy",
      video,
      further: source.furtherVideo.filter(
        (one) => obstacleToCopy(one, container, source.media.demuxers) === null && isFilm(container.name),
      ),
    };
  }
  const transcode = shape.transcode?.operation ?? null;
  const still = video.still || container.still;
  if (!still) requireReadable(context);
  const wanted = encodeVideo({ choice, video, container, capabilities, transcode, still, quality: null });
  const { grid, pixelFormat } = wanted;
  const lengths = lengthsOf(source);
  const { inputs, output } = context;
  const after = pictureAfter({ video, operations, grid, pixelFormat, id: output.id, lengths, inputs });
  const picture = finishPicture(after, wanted, container, video, still);
  const encode = encoderForSize(wanted, picture, capabilities);
  const countedInput = source.media.demuxers.includes("avi");
  const seconds = lengthOf(window, source.durationSeconds, rate);
  const fps = picture.fps === null ? fpsOf(video) : picture.fps.num / picture.fps.den;
  const frames = seconds === null ? null : Math.ceil(seconds * fps) + 1;
  return {
    kind: "encode",
    part: { id: context.output.id, video, encode, picture, container, window, frames, threads, still, countedInput },
  };
}

const isFilm = (containerName: string): boolean =>
  containerName === "mkv" || containerName === "mp4" || containerName === "mov";

function refuseEmpty(context: PlanContext, picture: Picture, sound: Sound): void {
  const { source, shape } = context;
  if (picture.kind !== "none" || sound.tracks.length > 0) return;
  if (isSoundOnly(shape.container) && source.audio.length === 0) {
    throw invalidPlan(`The input has no sound, so it cannot become ${shape.container.name}.`);
  }
  if (source.video === null && source.audio.length === 0)
    throw invalidPlan("The input has neither a picture nor sound.");
  throw invalidPlan("Nothing would be left: the operations drop everything that the input has.");
}

function warningsOf(context: PlanContext, picture: Picture, sound: Sound, passengers: Passengers): string[] {
  const { source, operations, options, shape } = context;
  const warnings = [...sound.warnings, ...passengers.warnings];
  if (picture.kind === "encode") {
    const mapped = operations.some((operation) => operation.type === "filter" && operation.name === "tonemap");
    const own = picture.part.encode.warnings.filter((warning) => !mapped || warning !== HDR_WARNING);
    warnings.push(...own, ...picture.part.picture.warnings);
  }
  const further = source.furtherVideo.length - (picture.kind === "copy" ? picture.further.length : 0);
  if (further > 0 && picture.kind !== "none")
    warnings.push(`${further} further picture ${further === 1 ? "stream is" : "streams are"} left out.`);
  const fast = operations.some((operation) => operation.type === "trim" && operation.mode === "fast");
  if (fast && picture.kind === "encode")
    warnings.push("The trim is exact although fast was asked for, because the picture is encoded in any case.");
  if (source.audio.length === 0 && changesSound(wishesOf(operations, source.durationSeconds)))
    warnings.push("The input has no sound, so what was asked of it has no effect.");
  if (
    source.video === null &&
    shape.transcode?.operation.video_codec !== undefined &&
    shape.transcode.operation.video_codec !== "none"
  ) {
    warnings.push("The input has no picture; the output has none either.");
  }
  if (options.faststart === true && !shape.container.takesFaststart)
    warnings.push(`${shape.container.name} has no index to put in front; faststart has no effect.`);
  if (shape.container.still && source.video?.still === false)
    warnings.push("Only the first picture is written; a thumbnail operation chooses others.");
  return warnings;
}

interface Assembly {
  readonly picture: Picture;
  readonly sound: Sound;
  readonly passengers: Passengers;
  readonly stopSeconds: number | null;
}

function pictureArgs(picture: Picture, graph: GraphContext, pass: 1 | 2 | null): OutputArgs {
  if (picture.kind === "none") return { chains: [], args: [] };
  if (picture.kind === "encode")
    return encodedVideoArgs(picture.part, graph, pass === null ? null : { number: pass, log: PASS_LOG });
  const { video, further } = picture;
  const maps = [video, ...further].flatMap(({ index }, n) => ["-map", `${graph.input}:${index}`, `-c:v:${n}`, "copy"]);
  return { chains: [], args: maps };
}

function build(context: PlanContext, assembly: Assembly, graph: GraphContext, pass: 1 | 2 | null): OutputArgs {
  const { options, shape } = context;
  const { picture, sound, passengers, stopSeconds } = assembly;
  const { container } = shape;
  const video = pictureArgs(picture, graph, pass);
  const raw = rawArgs(context.operations, "picture");
  if (pass === 1) return { chains: video.chains, args: [...video.args, ...raw, "-an", "-sn", "-f", "null", "-"] };
  const { window, retimed } = windowOf(context.operations, context.source.durationSeconds);
  const audio = soundPart(sound.tracks, context.output.id, window, graph, (stream, n) =>
    soundTagArgs(stream, n, options),
  );
  const still = container.still || (picture.kind === "encode" && picture.part.still);
  return {
    chains: [...video.chains, ...audio.chains],
    args: [
      ...video.args,
      ...raw,
      ...(picture.kind === "copy" ? videoTagArgs(container, picture.video.codec) : []),
      ...audio.args,
      ...rawArgs(context.operations, "sound"),
      ...passengers.args(graph),
      ...(still ? ["-frames:v:0", "1"] : []),
      ...(stopSeconds === null ? [] : ["-t", String(Number(stopSeconds.toFixed(6)))]),
      ...tagArgs(options, retimed || context.joined !== null),
      ...rawArgs(context.operations, "container"),
      ...muxerArgs(container, options),
      { file: workFile(context.output.id, container) },
    ],
  };
}

function sizesOf(context: PlanContext, picture: Picture, sound: Sound, seconds: number) {
  const { source, limits } = context;
  const sourceBytes = source.media.sizeBytes ?? limits.maxInputBytes;
  const soundRate = bitsOf(sound.tracks);
  if (picture.kind !== "encode") {
    const encoded = sound.tracks.some(({ way }) => way.kind === "encode");
    const bytes = copiedBytes(sourceBytes, seconds) + (encoded ? fileBytes(soundRate, seconds) : 0);
    return { bytesMax: bytes, bytesLikely: bytes };
  }
  const { part } = picture;
  const fps = outputFps(part) ?? fpsOf(part.video);
  const video = videoBits(part.encode, part.picture.width * part.picture.height, part.still ? 1 : fps, limits);
  const length = part.still ? 1 : seconds;
  const covers = source.covers.length > 0 ? copiedBytes(sourceBytes, 0) : 0;
  return {
    bytesMax: fileBytes(video.most + soundRate, length) + covers,
    bytesLikely: fileBytes(video.likely + soundRate, length) + covers,
  };
}

function memoryOf(picture: Picture, sound: Sound, passengers: Passengers): MemoryUse[] {
  const tracks = sound.tracks.filter(({ way }) => way.kind === "encode").length + passengers.subtitles;
  const heard = [...Array.from({ length: tracks }, () => TRACK_MEMORY), ...heldMemory(heldBytesOf(sound.tracks))];
  if (picture.kind !== "encode") return heard;
  const { part } = picture;
  const megapixels = (part.picture.width * part.picture.height) / 1e6;
  const { memory } = part.encode.encoder;
  const palette = part.encode.encoder.codec === "gif" ? Math.min(300, paletteBytes(part) / 1e6) : 0;
  return [
    { model: { ...memory, baseMb: memory.baseMb + palette }, megapixels },
    ...heldMemory(part.picture.heldBytes),
    ...heard,
  ];
}

function expectedPictures(picture: Picture, passengers: Passengers): ExpectedVideo[] {
  const covers = passengers.covers.map((cover) => ({ ...cover, fps: null }));
  if (picture.kind === "none") return covers;
  if (picture.kind === "encode") return [expectedVideo(picture.part), ...covers];
  const copies = [picture.video, ...picture.further].map((video) => ({
    codec: video.codec,
    width: video.width,
    height: video.height,
    fps: null,
  }));
  return [...copies, ...covers];
}

interface Decided {
  readonly picture: Picture;
  readonly sound: Sound;
  readonly passengers: Passengers;
  readonly window: Window;
  readonly seconds: number | null;
  readonly still: boolean;
  readonly fromKeyframe: boolean;
}

function shownFps(picture: Picture): number | null {
  if (picture.kind === "none") return null;
  return picture.kind === "encode" ? outputFps(picture.part) : picture.video.averageFps;
}

function outputOf(context: PlanContext, decided: Decided): PlannedOutput {
  const { source, shape } = context;
  const { picture, sound, passengers, window, seconds, still, fromKeyframe } = decided;
  const { container } = shape;
  const durationToleranceSeconds = toleranceSeconds({
    source,
    durationSeconds: seconds,
    fps: shownFps(picture),
    fromKeyframe,
    guessed: isGuessed(container.name),
    startSeconds: window.start,
    subtitlesCut: window.end !== null && passengers.subtitles > 0,
  });
  return {
    role: context.output.role,
    file: workFile(context.output.id, container),
    name: context.output.name,
    mediaType: mediaTypeOf(context, picture),
    expect: {
      demuxers: container.demuxers,
      durationSeconds: still ? null : seconds,
      durationToleranceSeconds,
      video: expectedPictures(picture, passengers),
      audio: sound.tracks.map(expectedAudio),
      subtitles: passengers.subtitles,
      still,
    },
  };
}

function preparationsOf(picture: Picture, sound: Sound, window: Window) {
  const heard = soundPreparations(sound.tracks, window);
  const seen = picture.kind === "encode" ? picturePreparations(picture.part.video, picture.part.picture, window) : [];
  return { ...heard, preparations: [...seen, ...heard.preparations] };
}

export function draftPrimary(context: PlanContext): OutputDraft {
  const { source, shape, operations, options } = context;
  const { container } = shape;
  const transcode = shape.transcode?.operation ?? null;
  const { window, exact, trimmed, rate, retimed } = windowOf(operations, source.durationSeconds);
  const picture = pictureFor(context, videoChoice(transcode, container));
  const encoded = picture.kind === "encode";
  const cutExactly = exact || (trimmed && encoded);
  const choice = audioChoice(transcode, container);
  const sound = soundOf(context, {
    container,
    choice,
    wishes: wishesOf(operations, source.durationSeconds),
    exact: cutExactly && choice !== "copy",
    single: false,
    id: context.output.id,
  });
  refuseEmpty(context, picture, sound);
  const copiesStream = picture.kind === "copy" || sound.tracks.some(({ way }) => way.kind === "copy");
  const embedded = embeddedOf(context);
  const riding = passengersOf({
    source,
    container,
    videoStreams: videoStreamsOf(picture),
    aligned: !retimed && (!trimmed || source.seeksExactly || !encoded),
    trimmed,
    coverAllowed: !needsKeyedTags(container, options),
  });
  const passengers = withTracks(riding, embedded);
  const seconds = lengthOf(window, source.durationSeconds, rate);
  const passesBy = trimmed && (copiesStream || riding.count > 0);
  const still = container.still || (encoded && picture.part.still);
  const { bytesMax, bytesLikely } = sizesOf(context, picture, sound, seconds ?? assumedSeconds(context));
  const stopSeconds = passesBy && window.end !== null ? (window.end - window.start) / rate : null;
  return {
    id: context.output.id,
    container,
    window,
    seek: !trimmed || !passesBy ? "free" : picture.kind === "encode" || exact ? "bound" : "start",
    keyframesOnly: false,
    durationSeconds: still ? null : seconds,
    uses: embedded,
    memory: memoryOf(picture, sound, passengers),
    bytesMax,
    bytesLikely,
    files: [
      outputOf(context, { picture, sound, passengers, window, seconds, still, fromKeyframe: trimmed && !cutExactly }),
    ],
    warnings: warningsOf(context, picture, sound, passengers),
    copies: picture.kind !== "encode" && sound.tracks.every(({ way }) => way.kind === "copy"),
    ...(picture.kind === "encode" && picture.part.encode.hardware !== undefined
      ? { hardware: picture.part.encode.hardware }
      : {}),
    ...preparationsOf(picture, sound, window),
    ...givenOf(picture, trimmed),
    twoPass: picture.kind === "encode" && transcode?.two_pass === true,
    build: (graph, pass) => build(context, { picture, sound, passengers, stopSeconds }, graph, pass),
  };
}

/** A film container with sound only is sound. */
function mediaTypeOf({ shape }: PlanContext, picture: Picture): string {
  const { mediaType } = shape.container;
  return picture.kind === "none" ? mediaType.replace(/^video\//, "audio/") : mediaType;
}

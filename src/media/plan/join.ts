/**
 * The files of a `concat` as one input: what the rest of the compiler sees is a source that does not exist, whose two
 * streams are pads of the graph. Each step joins what its own outputs take of it.
 */
import { type Chain, type Filter, filter } from "../filtergraph.ts";
import { concatOf } from "../operations/concat.schema.ts";
import type { MediaInfo, MediaLimits } from "../types.ts";
import type { Reading, Use } from "./inputs.ts";
import { type JoinFile, type JoinFormat, type JoinRequest, type Parts, partsOf } from "./join-format.ts";
import { padOf, picturePart, soundPart } from "./join-parts.ts";
import { invalidPlan, overLimit } from "./refuse.ts";
import { type Source, toSource } from "./source.ts";

/** Pads of the source, as drafts name them. */
const PICTURE = "0:0";
const SOUND = "0:1";

export interface Joined {
  /** Of the whole film. */
  readonly source: Source;
  /** How the main input is opened. */
  readonly reading: Reading;
  /** The further files, which each step opens. */
  readonly uses: readonly Use[];
  readonly files: number;
  /** Of each file's picture where they fade into each other; 0 where they do not. */
  readonly fadedMegapixels: number;
  readonly heldBytes: number;
  readonly warnings: readonly string[];
  /** `chains` with the film's own before them. */
  before(chains: readonly Chain[], inputOf: (planInput: number) => number): Chain[];
}

interface Fade {
  readonly seconds: number;
}

/** Files fade into each other, so that each has to last as long as its fades. */
function fadeOf({ operations }: JoinRequest, files: readonly JoinFile[]): Fade | null {
  const found = concatOf(operations);
  if (found?.operation.transition !== "fade") return null;
  const path = `operations[${found.index}]`;
  const lengths = files.map(({ seconds }) => seconds ?? 0);
  const unknown = files.findIndex(({ seconds }) => seconds === null);
  if (unknown >= 0) {
    const name = unknown === 0 ? "The input" : `File ${unknown} of concat`;
    throw invalidPlan(
      `${name} does not say how long it is, so it is not known when it fades; use transition none.`,
      path,
    );
  }
  const shortest = Math.min(...lengths);
  const asked = found.operation.transition_duration;
  if (asked !== undefined && asked > shortest / 2 + 0.001) {
    const most = Number((shortest / 2).toFixed(3));
    throw invalidPlan(
      `A transition of ${asked} s is more than half of the shortest file, which lasts ${Number(shortest.toFixed(3))} s; at most ${most} s fit.`,
      `${path}.transition_duration`,
    );
  }
  return { seconds: asked ?? Math.min(1, shortest / 2) };
}

/** To whole frames, so that picture and sound lose the same. */
function onGrid(fade: Fade | null, { picture }: JoinFormat): Fade | null {
  if (fade === null || picture === null) return fade;
  const { num, den } = picture.rate;
  return { seconds: (Math.max(1, Math.floor((fade.seconds * num) / den + 0.001)) * den) / num };
}

function lengthOfAll(files: readonly JoinFile[], fade: Fade | null): number | null {
  const lengths = files.flatMap(({ seconds }) => seconds ?? []);
  const sum = lengths.reduce((total, one) => total + one, 0);
  if (lengths.length === files.length) return Number((sum - (fade?.seconds ?? 0) * (files.length - 1)).toFixed(6));
  const about = files.map(({ seconds, source }) => seconds ?? source.durationSeconds);
  return about.some((one) => one === null) ? null : about.reduce((total: number, one) => total + (one ?? 0), 0);
}

function mediaOf({ format, files }: Parts, durationSeconds: number | null): MediaInfo {
  const { picture, sound } = format;
  const plain = { profile: null, bitrate: null, durationSeconds, startSeconds: 0, title: null, isDefault: true };
  const seen = files.flatMap(({ source }) => source.video ?? [])[0];
  const heard = files.flatMap(({ heard: { stream } }) => stream ?? [])[0];
  const sizes = files.map(({ source }) => source.media.sizeBytes);
  const first = files[0]?.source.media;
  return {
    ...{
      demuxers: [],
      container: "joined",
      durationSeconds,
      startSeconds: 0,
      bitrate: null,
      chapters: 0,
      warnings: [],
    },
    sizeBytes: sizes.some((size) => size === null) ? null : sizes.reduce((sum: number, one) => sum + (one ?? 0), 0),
    tags: first?.tags ?? {},
    streams: [
      ...(picture === null || seen === undefined
        ? []
        : [
            {
              ...seen,
              ...plain,
              // Nothing holds it, so that it is always encoded.
              ...{ index: 0, codec: "joined", rotation: 0 as const, sampleAspect: { num: 1, den: 1 } },
              ...{ codedWidth: picture.width, codedHeight: picture.height },
              ...{ width: picture.width, height: picture.height, pixelFormat: format.pixelFormat },
              ...{ bitDepth: format.pixelFormat.endsWith("10le") ? 10 : 8, hasAlpha: false, level: null },
              ...{ averageFps: picture.rate.num / picture.rate.den, nominalFps: picture.rate.num / picture.rate.den },
              ...{
                isVariableFps: false,
                frameCount: null,
                interlaced: false,
                hdr: format.toSdr ? ("sdr" as const) : seen.hdr,
              },
            },
          ]),
      ...(sound === null
        ? []
        : [
            {
              ...plain,
              ...{ kind: "audio" as const, index: 1, codec: "joined", language: heard?.language ?? null },
              ...{ channels: sound.channels, sampleRate: sound.sampleRate, channelLayout: null, sampleFormat: "fltp" },
            },
          ]),
    ],
  };
}

function warningsOf({ format, files }: Parts): string[] {
  const left = files.flatMap(({ source }) => [
    ...source.subtitles.map(() => "subtitles"),
    ...source.audio.slice(1).map(() => "further sound tracks"),
    ...source.furtherVideo.map(() => "further pictures"),
    ...(source.media.chapters > 0 ? ["chapters"] : []),
  ]);
  const kinds = [...new Set(left)];
  return [
    ...(kinds.length === 0 ? [] : [`What concat joins has no ${kinds.join(", ")}; those of the files are left out.`]),
    ...(format.toSdr
      ? ["Some of the files are HDR and some are not; those that are were brought to what the others show."]
      : []),
  ];
}

function checkSum({ source }: { source: Source }, limits: MediaLimits): void {
  const { durationSeconds, sizeBytes } = source.media;
  if (durationSeconds !== null && durationSeconds > limits.maxDurationSeconds) {
    throw overLimit(
      `The files of concat last ${Math.ceil(durationSeconds)} seconds together; ${limits.maxDurationSeconds} are allowed.`,
    );
  }
  if (sizeBytes !== null && sizeBytes > limits.maxInputBytes)
    throw overLimit(`The files of concat have ${sizeBytes} bytes together; ${limits.maxInputBytes} are allowed.`);
}

/** One behind the other, or each faded into the next. */
function joint(kind: "v" | "a", { files }: Parts, fade: Fade | null): Chain[] {
  const out = `join${kind}`;
  if (fade === null) {
    const video = kind === "v" ? 1 : 0;
    const filters = [filter("concat", { n: files.length, v: video, a: 1 - video })];
    return [{ inputs: files.map((_, n) => padOf(kind, n)), filters, outputs: [out] }];
  }
  let offset = 0;
  return files.slice(1).map((_, n) => {
    offset += (files[n]?.seconds ?? 0) - fade.seconds;
    const before = n === 0 ? padOf(kind, 0) : `${out}x${n - 1}`;
    const last = n === files.length - 2;
    const blend: Filter =
      kind === "v"
        ? filter("xfade", { transition: "fade", duration: fade.seconds, offset: Number(offset.toFixed(6)) })
        : filter("acrossfade", { duration: fade.seconds });
    return { inputs: [before, padOf(kind, n + 1)], filters: [blend], outputs: [last ? out : `${out}x${n}`] };
  });
}

/** Both at once where a file's end is known only when it is reached. */
function together({ files }: Parts): Chain[] {
  const inputs = files.flatMap((_, n) => [padOf("v", n), padOf("a", n)]);
  return [{ inputs, filters: [filter("concat", { n: files.length, v: 1, a: 1 })], outputs: ["joinv", "joina"] }];
}

/** Each taker of a pad gets a branch of its own. */
function shared(chains: readonly Chain[], pad: string, kind: "v" | "a"): { chains: Chain[]; split: Chain[] } {
  const takers = chains.filter(({ inputs }) => inputs.includes(pad)).length;
  const out = `join${kind}`;
  let n = 0;
  const name = (): string => (takers === 1 ? out : `${out}y${n++}`);
  const renamed = chains.map((chain) => ({
    ...chain,
    inputs: chain.inputs.map((one) => (one === pad ? name() : one)),
  }));
  if (takers < 2) return { chains: renamed, split: [] };
  const outputs = Array.from({ length: takers }, (_, k) => `${out}y${k}`);
  const filters = [filter(kind === "v" ? "split" : "asplit", { outputs: takers })];
  return { chains: renamed, split: [{ inputs: [out], filters, outputs }] };
}

function joinBefore(
  parts: Parts,
  fade: Fade | null,
  chains: readonly Chain[],
  inputOf: (planInput: number) => number,
): Chain[] {
  const takes = (pad: string): boolean => chains.some(({ inputs }) => inputs.includes(pad));
  const numberOf = ({ planInput }: JoinFile): number => (planInput === 0 ? 0 : inputOf(planInput));
  const [seen, heard] = [takes(PICTURE), takes(SOUND)];
  const exact = parts.files.every(({ seconds }) => seconds !== null);
  const pictures = seen ? parts.files.map((file, n) => picturePart(file, parts.format, n, numberOf(file)).chain) : [];
  const sounds = heard ? parts.files.map((file, n) => soundPart(file, parts.format, n, numberOf(file)).chain) : [];
  const joints =
    seen && heard && !exact
      ? together(parts)
      : [...(seen ? joint("v", parts, fade) : []), ...(heard ? joint("a", parts, fade) : [])];
  const withPictures = shared(chains, PICTURE, "v");
  const withBoth = shared(withPictures.chains, SOUND, "a");
  return [...pictures, ...sounds, ...joints, ...withPictures.split, ...withBoth.split, ...withBoth.chains];
}

/** Null when nothing is joined. Throws `plan.invalid`, `plan.unsupported` or `limit.exceeded`. */
export function joinOf(request: JoinRequest, limits: MediaLimits): Joined | null {
  const parts = partsOf(request);
  const [main] = request.inputs;
  const [first, ...further] = parts?.files ?? [];
  if (parts === null || main === undefined || first === undefined) return null;
  const fade = onGrid(fadeOf(request, parts.files), parts.format);
  const media = mediaOf(parts, lengthOfAll(parts.files, fade));
  const guessed = parts.files.some(({ seconds }) => seconds === null);
  const source = { ...toSource({ file: main.file, media }), input: main, durationIsGuess: guessed };
  checkSum({ source }, limits);
  const { window, seekSeconds } = first;
  const { picture } = parts.format;
  const uses = further.flatMap(({ planInput, source: { input } }) => ({ planInput, input }));
  const held = parts.files.map(
    (file, n) => (picture === null ? 0 : picturePart(file, parts.format, n, 0).heldBytes) + file.heard.heldBytes,
  );
  return {
    source,
    reading: { windows: [window], seekSeconds, keyframesOnly: false },
    uses,
    files: parts.files.length,
    fadedMegapixels: fade === null || picture === null ? 0 : (picture.width * picture.height) / 1e6,
    heldBytes: held.reduce((sum, one) => sum + one, 0),
    warnings: warningsOf(parts),
    before: (chains, inputOf) => joinBefore(parts, fade, chains, inputOf),
  };
}

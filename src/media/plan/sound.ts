/** How sound goes into an output: as it is, encoded, or not at all. */
import type { Container } from "../containers.ts";
import { type AudioEncoder, layoutOf, nearestRate } from "../encoders/audio.ts";
import { audioCodecOf, audioEncoder, chooseEncoder } from "../encoders/registry.ts";
import { type Filter, filter } from "../filtergraph.ts";
import type { Audio } from "../operations/audio.schema.ts";
import type { AudioChoice } from "../operations/check-codec.ts";
import { changesSoundToo, type FilterOperation } from "../operations/filter.schema.ts";
import type { Operation } from "../operations/parse.ts";
import type { AudioCodec } from "../operations/transcode.schema.ts";
import type { AudioStream, Capabilities } from "../types.ts";
import { type Scene, sceneOf, soundFilters } from "./effects.ts";
import { type LoudnessTarget, measureLoudness, reachLoudness } from "./loudness.ts";
import { invalidPlan, unsupportedPlan } from "./refuse.ts";
import { lengthOf } from "./timeline.ts";

export type SoundEffect =
  | { readonly kind: "volume"; readonly factor: number }
  | { readonly kind: "filter"; readonly operation: FilterOperation; readonly scene: (seconds: number | null) => Scene }
  | { readonly kind: "loudness"; readonly target: LoudnessTarget };

/** What the operations ask of the sound, wherever it goes. */
export interface SoundWishes {
  /** In the order given; volumes that follow each other are one. */
  readonly effects: readonly SoundEffect[];
  readonly channels: number | null;
  readonly sampleRate: number | null;
  readonly bitrate: number | null;
  readonly removed: boolean;
}

export const NO_WISHES: SoundWishes = { effects: [], channels: null, sampleRate: null, bitrate: null, removed: false };

const isTranscode = ({ type }: Operation): boolean => type === "transcode";

/** Of the operations that are about the main sound; an extract keeps its own to itself. */
export function wishesOf(operations: readonly Operation[], durationSeconds: number | null): SoundWishes {
  let wishes = NO_WISHES;
  operations.forEach((operation, index) => {
    const scene = (streamSeconds: number | null): Scene =>
      sceneOf(operations, index, { durationSeconds, streamSeconds });
    // What was asked of the first file alone ends where others join it; what a transcode says is about the output.
    if (operation.type === "concat") wishes = wishesOf(operations.slice(0, index).filter(isTranscode), null);
    else wishes = withWishes(wishes, operation, scene);
  });
  return wishes;
}

/** With what one `audio` operation asks for. */
export function withAudio(wishes: SoundWishes, operation: Audio): SoundWishes {
  const { volume, channels, sample_rate: sampleRate } = operation;
  const effects = [...wishes.effects];
  const last = effects.at(-1);
  if (volume !== undefined && last?.kind === "volume")
    effects.splice(-1, 1, { kind: "volume", factor: last.factor * volume });
  else if (volume !== undefined) effects.push({ kind: "volume", factor: volume });
  if (operation.normalize) {
    const { target_lufs: lufs, true_peak: truePeak, lra: range } = operation;
    effects.push({ kind: "loudness", target: { lufs: lufs ?? -16, truePeak: truePeak ?? -1.5, range: range ?? 11 } });
  }
  return {
    ...wishes,
    effects,
    channels: channels ?? wishes.channels,
    sampleRate: sampleRate ?? wishes.sampleRate,
  };
}

function withWishes(wishes: SoundWishes, operation: Operation, scene: (seconds: number | null) => Scene): SoundWishes {
  if (operation.type === "transcode") {
    return {
      ...wishes,
      channels: operation.audio_channels ?? wishes.channels,
      sampleRate: operation.audio_sample_rate ?? wishes.sampleRate,
      bitrate: operation.audio_bitrate ?? wishes.bitrate,
    };
  }
  if (operation.type === "filter" && changesSoundToo(operation))
    return { ...wishes, effects: [...wishes.effects, { kind: "filter", operation, scene }] };
  if (operation.type !== "audio") return wishes;
  const removed = wishes.removed || operation.remove;
  if (operation.extract) return { ...wishes, removed };
  return { ...withAudio(wishes, operation), removed };
}

const isHeard = (effect: SoundEffect): boolean => effect.kind !== "volume" || effect.factor !== 1;

export const changesSound = ({ effects, channels, sampleRate }: SoundWishes): boolean =>
  effects.some(isHeard) || channels !== null || sampleRate !== null;

/** A pass over the sound that has to come before: what measures it, and what is named by its measurement. */
export interface SoundPass {
  readonly filters: readonly Filter[];
  readonly name: string;
  readonly target: LoudnessTarget;
}

export interface SoundEncode {
  readonly encoder: AudioEncoder;
  readonly channels: number;
  readonly sampleRate: number;
  readonly bitrate: number | null;
  /** After the cut. */
  readonly filters: readonly Filter[];
  readonly passes: readonly SoundPass[];
  /** Of sound that filters hold. */
  readonly heldBytes: number;
  readonly warnings: readonly string[];
}

export type SoundWay = { readonly kind: "copy" } | ({ readonly kind: "encode" } & SoundEncode);

export interface SoundQuestion {
  readonly stream: AudioStream;
  readonly container: Container;
  readonly choice: AudioChoice;
  readonly wishes: SoundWishes;
  /** An exact trim cuts between the packets of a copy. */
  readonly exact: boolean;
  readonly capabilities: Capabilities;
  /** Names its measurements; unique in the plan. */
  readonly name: string;
}

function codecFor({ choice, stream, container, capabilities }: SoundQuestion): AudioCodec {
  if (choice !== null && choice !== "copy" && choice !== "none") return choice;
  const own = audioCodecOf(stream.codec);
  const works = own !== null && chooseEncoder([audioEncoder(own).encoder], capabilities).ability.ok;
  if (own !== null && works && container.audio.encodes.includes(own)) return own;
  return container.audio.encodes[0] ?? "aac";
}

/** Of this sound in this encoder; what is asked for beyond the encoder's reach is brought within it, with a warning. */
function bitrateFor(encoder: AudioEncoder, channels: number, asked: number | null, warnings: string[]): number | null {
  if (encoder.bitrate === null) return null;
  const { min, max, defaultPerChannel } = encoder.bitrate;
  const wanted = asked ?? Math.min(max, defaultPerChannel * channels);
  const most = encoder.codec === "opus" ? Math.min(max, 256_000 * channels) : max;
  const bitrate = Math.max(min, Math.min(most, wanted));
  if (bitrate < wanted)
    warnings.push(`${encoder.codec} takes at most ${most} bits per second for ${channels} channels.`);
  return bitrate;
}

/** Eight bytes a sample are what areverse may hold at most. */
const HELD_BYTES_PER_SAMPLE = 8;
const HELD_BYTES_MAX = 1_000e6;

function reversedSound({ channels }: AudioStream, rate: number, scene: Scene): number {
  const seconds = lengthOf(scene.window, scene.durationSeconds, scene.moment.rate);
  const bytes = (seconds ?? Number.POSITIVE_INFINITY) * rate * channels * HELD_BYTES_PER_SAMPLE;
  if (bytes <= HELD_BYTES_MAX) return bytes;
  throw invalidPlan(
    "The sound is too long to be reversed, which holds all of it in memory; trim it first.",
    scene.path,
  );
}

/** What the effects put into the chain, and what has to be measured before. */
export function soundEffects(
  { stream, wishes, name }: Pick<SoundQuestion, "stream" | "wishes" | "name">,
  rate: number,
) {
  const filters: Filter[] = [];
  const passes: SoundPass[] = [];
  let heldBytes = 0;
  for (const effect of wishes.effects.filter(isHeard)) {
    if (effect.kind === "volume") filters.push(filter("volume", { volume: effect.factor }));
    else if (effect.kind === "filter") {
      const scene = effect.scene(stream.durationSeconds);
      if (effect.operation.name === "reverse") heldBytes += reversedSound(stream, rate, scene);
      filters.push(...soundFilters(effect.operation, scene));
    } else {
      const measured = `${name}-${passes.length}`;
      passes.push({ name: measured, target: effect.target, filters: [...filters, measureLoudness(effect.target)] });
      filters.push(reachLoudness(effect.target, measured));
    }
  }
  return { filters, passes, heldBytes };
}

function encode(question: SoundQuestion): SoundEncode {
  const { stream, wishes, capabilities } = question;
  const codec = codecFor(question);
  const encoder = audioEncoder(codec);
  const { ability } = chooseEncoder([encoder.encoder], capabilities);
  if (!ability.ok) throw unsupportedPlan(`The codec ${codec} cannot be encoded here: ${ability.reason}.`);
  const warnings: string[] = [];
  const channels = Math.min(encoder.channelsMax, wishes.channels ?? stream.channels);
  if (wishes.channels === null && channels < stream.channels) {
    warnings.push(
      `The sound is mixed from ${stream.channels} to ${channels} channels, because ${codec} holds no more.`,
    );
  }
  const sourceRate = stream.sampleRate > 0 ? stream.sampleRate : 48_000;
  const sampleRate = nearestRate(encoder, wishes.sampleRate ?? sourceRate);
  const { filters, passes, heldBytes } = soundEffects(question, sourceRate);
  const normalized = passes.length > 0;
  if (sampleRate !== stream.sampleRate || normalized) filters.push(filter("aresample", { osr: sampleRate }));
  // Encoders refuse layouts that differ from the usual ones by name only, such as 5.1(side).
  // FFmpeg 5 forgets the layout of what loudnorm gives.
  if (normalized || channels !== stream.channels || channels > 2 || stream.channelLayout === null) {
    filters.push(filter("aformat", { channel_layouts: layoutOf(channels) }));
  }
  return {
    encoder,
    channels,
    sampleRate,
    bitrate: bitrateFor(encoder, channels, wishes.bitrate, warnings),
    filters,
    passes,
    heldBytes,
    warnings,
  };
}

/** Throws `plan.invalid` when a copy was asked for and cannot be. */
export function soundWay(question: SoundQuestion): SoundWay {
  const { stream, container, choice, wishes, exact } = question;
  const held = container.audio.copies.includes(stream.codec);
  if (choice === "copy") {
    if (held) return { kind: "copy" };
    throw invalidPlan(
      `The input's sound is ${stream.codec}, which ${container.name} does not hold; name an audio_codec or another container.`,
    );
  }
  if (choice === null && held && !exact && !changesSound(wishes)) return { kind: "copy" };
  return { kind: "encode", ...encode(question) };
}

/** `-c:a:{n} …` */
export function soundArgs(way: SoundWay, n: number): string[] {
  if (way.kind === "copy") return [`-c:a:${n}`, "copy"];
  const { encoder, bitrate } = way;
  return [`-c:a:${n}`, encoder.encoder, ...(bitrate === null ? [] : [`-b:a:${n}`, String(bitrate)])];
}

/** Bits per second that it takes at most. */
export function soundBits(way: SoundWay, stream: AudioStream): number {
  if (way.kind === "encode") {
    return way.bitrate === null ? way.channels * way.sampleRate * way.encoder.sampleBits : way.bitrate * 1.2;
  }
  return stream.bitrate ?? stream.channels * Math.max(48_000, stream.sampleRate) * 24;
}

/** How sound goes into an output: as it is, encoded, or not at all. */
import type { Container } from "../containers.ts";
import { type AudioEncoder, layoutOf, nearestRate } from "../encoders/audio.ts";
import { audioCodecOf, audioEncoder, chooseEncoder } from "../encoders/registry.ts";
import { type Filter, filter } from "../filtergraph.ts";
import type { AudioChoice } from "../operations/check-codec.ts";
import type { Operation } from "../operations/parse.ts";
import type { AudioCodec } from "../operations/transcode.schema.ts";
import type { AudioStream, Capabilities } from "../types.ts";
import { invalidPlan, unsupportedPlan } from "./refuse.ts";

/** What the operations ask of the sound, wherever it goes. */
export interface SoundWishes {
  readonly volume: number;
  readonly channels: number | null;
  readonly sampleRate: number | null;
  readonly bitrate: number | null;
  readonly removed: boolean;
}

export const NO_WISHES: SoundWishes = { volume: 1, channels: null, sampleRate: null, bitrate: null, removed: false };

/** Of the operations that are about the main sound; an extract keeps its own to itself. */
export function wishesOf(operations: readonly Operation[]): SoundWishes {
  let wishes = NO_WISHES;
  for (const operation of operations) wishes = withWishes(wishes, operation);
  return wishes;
}

function withWishes(wishes: SoundWishes, operation: Operation): SoundWishes {
  if (operation.type === "transcode") {
    return {
      ...wishes,
      channels: operation.audio_channels ?? wishes.channels,
      sampleRate: operation.audio_sample_rate ?? wishes.sampleRate,
      bitrate: operation.audio_bitrate ?? wishes.bitrate,
    };
  }
  if (operation.type !== "audio") return wishes;
  if (operation.extract) return { ...wishes, removed: wishes.removed || operation.remove };
  return {
    ...wishes,
    volume: wishes.volume * (operation.volume ?? 1),
    channels: operation.channels ?? wishes.channels,
    sampleRate: operation.sample_rate ?? wishes.sampleRate,
    removed: wishes.removed || operation.remove,
  };
}

export const changesSound = ({ volume, channels, sampleRate }: SoundWishes): boolean =>
  volume !== 1 || channels !== null || sampleRate !== null;

export interface SoundEncode {
  readonly encoder: AudioEncoder;
  readonly channels: number;
  readonly sampleRate: number;
  readonly bitrate: number | null;
  /** After the cut. */
  readonly filters: readonly Filter[];
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
  const filters: Filter[] = [];
  if (wishes.volume !== 1) filters.push(filter("volume", { volume: wishes.volume }));
  if (sampleRate !== stream.sampleRate) filters.push(filter("aresample", { osr: sampleRate }));
  // Encoders refuse layouts that differ from the usual ones by name only, such as 5.1(side).
  if (channels !== stream.channels || channels > 2 || stream.channelLayout === null) {
    filters.push(filter("aformat", { channel_layouts: layoutOf(channels) }));
  }
  return {
    encoder,
    channels,
    sampleRate,
    bitrate: bitrateFor(encoder, channels, wishes.bitrate, warnings),
    filters,
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

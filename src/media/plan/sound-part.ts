/** The sound of an output: which of the input's tracks, and each track's chain and arguments. */
import type { Container } from "../containers.ts";
import type { Chain } from "../filtergraph.ts";
import type { AudioChoice } from "../operations/check-codec.ts";
import type { AudioStream, ExpectedAudio } from "../types.ts";
import type { PlanContext } from "./context.ts";
import type { GraphContext, OutputArgs } from "./output.ts";
import { type SoundWay, type SoundWishes, soundArgs, soundBits, soundWay } from "./sound.ts";
import { cutSound, type Window } from "./timeline.ts";

export interface Track {
  readonly stream: AudioStream;
  readonly way: SoundWay;
}

export interface SoundRequest {
  readonly container: Container;
  readonly choice: AudioChoice;
  readonly wishes: SoundWishes;
  readonly exact: boolean;
  /** One track even where the container holds more. */
  readonly single: boolean;
  /** Of the output. */
  readonly id: number;
}

export interface Sound {
  readonly tracks: readonly Track[];
  readonly warnings: readonly string[];
}

export function soundOf({ source, capabilities }: PlanContext, request: SoundRequest): Sound {
  const { container, choice, wishes, exact } = request;
  if (choice === "none" || wishes.removed) return { tracks: [], warnings: [] };
  const several = container.severalAudio && !request.single;
  const streams = several ? source.audio : source.audio.slice(0, 1);
  const warnings: string[] = [];
  const left = source.audio.length - streams.length;
  if (left > 0 && !request.single)
    warnings.push(
      `${left} further sound ${left === 1 ? "track is" : "tracks are"} left out, because ${container.name} holds one.`,
    );
  const tracks = streams.map((stream, n) => ({
    stream,
    way: soundWay({ stream, container, choice, wishes, exact, capabilities, name: `sound-${request.id}-${n}` }),
  }));
  return {
    tracks,
    warnings: [...warnings, ...tracks.flatMap(({ way }) => (way.kind === "encode" ? way.warnings : []))],
  };
}

export const expectedAudio = ({ stream, way }: Track): ExpectedAudio =>
  way.kind === "copy"
    ? { codec: stream.codec, channels: stream.channels, sampleRate: stream.sampleRate > 0 ? stream.sampleRate : null }
    : { codec: way.encoder.probed, channels: way.channels, sampleRate: way.sampleRate };

export const bitsOf = (tracks: readonly Track[]): number =>
  tracks.reduce((sum, { stream, way }) => sum + soundBits(way, stream), 0);

/** Of sound that filters hold. */
export const heldBytesOf = (tracks: readonly Track[]): number =>
  tracks.reduce((sum, { way }) => sum + (way.kind === "encode" ? way.heldBytes : 0), 0);

/** `tags`: what a track that went through the graph has to be told again. */
export function soundPart(
  tracks: readonly Track[],
  id: number,
  window: Window,
  { seekSeconds, input }: GraphContext,
  tags: (stream: AudioStream, n: number) => string[],
): OutputArgs {
  const chains: Chain[] = [];
  const args: string[] = [];
  tracks.forEach(({ stream, way }, n) => {
    const filters = way.kind === "encode" ? [...cutSound(window, seekSeconds, stream.sampleRate), ...way.filters] : [];
    const source = `${input}:${stream.index}`;
    if (filters.length === 0) {
      args.push("-map", source, ...soundArgs(way, n));
      return;
    }
    const label = `a${id}x${n}`;
    chains.push({ inputs: [source], filters, outputs: [label] });
    args.push("-map", `[${label}]`, ...soundArgs(way, n), ...tags(stream, n));
  });
  return { chains, args };
}

/** The inputs of a step: how each is opened, and which number FFmpeg gives it. */
import { besides, type Chain, unfold } from "../filtergraph.ts";
import type { Arg, PlanInput } from "../types.ts";
import type { PlanContext } from "./context.ts";
import { readFor, type Window } from "./timeline.ts";

export interface Reading {
  readonly windows: readonly Window[];
  readonly seekSeconds: number;
  readonly keyframesOnly: boolean;
}

const fixed = (seconds: number): string => String(Number(seconds.toFixed(6)));

/** By the one demuxer that it was found to need, which opens nothing but this file. */
export function opening(
  { capabilities, limits, threads }: Pick<PlanContext, "capabilities" | "limits" | "threads">,
  { media }: Pick<PlanInput, "media">,
): Arg[] {
  const [demuxer] = media.demuxers;
  // Captions are of our own writing by now, and open as nothing else.
  if (demuxer !== undefined && media.streams.every(({ kind }) => kind === "subtitle"))
    return ["-protocol_whitelist", "file,pipe", "-format_whitelist", demuxer, "-f", demuxer];
  return [
    "-protocol_whitelist",
    "file,pipe",
    "-format_whitelist",
    capabilities.inputFormats.join(","),
    "-max_streams",
    String(limits.maxStreams),
    "-max_pixels",
    // Coded sizes are rounded up to whole blocks.
    String((limits.maxWidth + 64) * (limits.maxHeight + 64)),
    "-threads",
    String(threads),
    ...(demuxer === undefined ? [] : ["-f", demuxer]),
  ];
}

/** How the main input is opened and which part of it is read. */
export function inputArgs(context: PlanContext, { windows, seekSeconds, keyframesOnly }: Reading): Arg[] {
  const { input } = context.source;
  const read = readFor(windows, seekSeconds);
  return [
    ...(keyframesOnly ? ["-skip_frame", "nokey"] : []),
    ...opening(context, input),
    ...(seekSeconds > 0 ? ["-ss", fixed(seekSeconds)] : []),
    ...(read === null ? [] : ["-t", fixed(read)]),
    "-i",
    { file: input.file },
  ];
}

/** Of its largest picture. */
export const megapixelsOf = ({ media }: PlanInput): number =>
  media.streams.reduce((most, one) => (one.kind === "video" ? Math.max(most, one.width * one.height) : most), 0) / 1e6;

/** A further input that arguments name, as it is opened. */
export interface Use {
  readonly planInput: number;
  readonly input: PlanInput;
}

/** What a step reads beside the main input. */
export interface Further {
  readonly args: readonly Arg[];
  readonly megapixels: number;
  readonly count: number;
  /** FFmpeg's number of a plan's input. */
  inputOf(planInput: number): number;
  /** The chains with those inputs in them. */
  unfold(chains: readonly Chain[]): Chain[];
}

/** Of chains that are known but for the inputs' numbers, and of `uses`, which arguments name. */
export function furtherInputs(context: PlanContext, chains: readonly Chain[], uses: readonly Use[] = []): Further {
  const used = new Map([
    ...besides(chains).map((index): [number, PlanInput | undefined] => [index, context.inputs[index]]),
    ...uses.map(({ planInput, input }): [number, PlanInput | undefined] => [planInput, input]),
  ]);
  const numbers = context.inputs.flatMap((_, index) => (index > 0 && used.has(index) ? [index] : []));
  const inputs = numbers.flatMap((index) => used.get(index) ?? []);
  const inputOf = (planInput: number): number => numbers.indexOf(planInput) + 1;
  return {
    args: inputs.flatMap((input) => [...opening(context, input), "-i", { file: input.file }]),
    count: inputs.length,
    megapixels: inputs.reduce((sum, input) => sum + megapixelsOf(input), 0),
    inputOf,
    unfold: (all) => unfold(all, inputOf),
  };
}

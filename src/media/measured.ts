/**
 * What a step finds out, for the steps after it and for the job's results. A plan is made before anything is measured, so
 * its later steps hold placeholders; they are resolved when the values are there.
 */
import { RendiffError } from "../errors.ts";
import type { Arg, PlanStep } from "./types.ts";

/** Values that one step printed, by the names FFmpeg gives them. */
export type Values = Readonly<Record<string, number>>;
/** By the measurement's name. */
export type Measured = Readonly<Record<string, Values>>;

/** Reads nothing that a filter graph would take for syntax. */
export const placeholder = (name: string, field: LoudnessField): string => `<measured/${name}/${field}>`;

export type LoudnessField = "input_i" | "input_tp" | "input_lra" | "input_thresh" | "target_offset";

/**
 * What loudnorm takes for each; silence is minus infinity, for which the lowest stands. A range of zero would mean to it
 * that nothing was measured.
 */
const RANGES: Readonly<Record<LoudnessField, readonly [number, number]>> = {
  input_i: [-99, 0],
  input_tp: [-99, 99],
  input_lra: [0.01, 99],
  input_thresh: [-99, 0],
  target_offset: [-99, 99],
};

const isField = (text: string): text is LoudnessField => Object.hasOwn(RANGES, text);

function resolvedValue(name: string, field: string, measured: Measured): string {
  const value = measured[name]?.[field];
  if (value === undefined || Number.isNaN(value) || !isField(field)) {
    throw new RendiffError({ kind: "internal", publicMessage: "A measurement that the encode needs is missing." });
  }
  const [min, max] = RANGES[field];
  return String(Math.min(max, Math.max(min, value)));
}

/** `step` with the values in place of its placeholders. */
export function resolveStep(step: PlanStep, measured: Measured): PlanStep {
  const { needs = [] } = step;
  if (needs.length === 0) return step;
  const resolve = (arg: Arg): Arg =>
    typeof arg !== "string"
      ? arg
      : arg.replace(/<measured\/([a-z0-9-]+)\/([a-z_]+)>/g, (whole, name: string, field: string) =>
          needs.includes(name) ? resolvedValue(name, field, measured) : whole,
        );
  return { ...step, args: step.args.map(resolve) };
}

/** FFmpeg numbers the filters of a graph; it does not end them in that order. */
const BLOCK = /Parsed_loudnorm_(\d+)[^\n{]*\s*(\{[^{}]*"input_i"[^{}]*\})/g;
const PAIR = /"([a-z_]+)"\s*:\s*"([^"]*)"/g;

const toNumber = (text: string): number => {
  if (text === "-inf") return Number.NEGATIVE_INFINITY;
  return text === "inf" ? Number.POSITIVE_INFINITY : Number.parseFloat(text);
};

export interface LoudnessBlock {
  readonly values: Values;
  /** `linear`: one gain for the whole; `dynamic`: peaks did not allow it. */
  readonly mode: string | null;
}

/** Every report of loudnorm in what FFmpeg printed, in the order of the graph. */
export function parseLoudness(stderr: string): LoudnessBlock[] {
  const blocks = [...stderr.matchAll(BLOCK)].sort((a, b) => Number(a[1]) - Number(b[1]));
  return blocks.map(([, , block = ""]) => {
    const pairs = [...block.matchAll(PAIR)].map(([, name = "", text = ""]) => [name, text] as const);
    return {
      values: Object.fromEntries(
        pairs.flatMap(([name, text]) => (Number.isNaN(toNumber(text)) ? [] : [[name, toNumber(text)]])),
      ),
      mode: pairs.find(([name]) => name === "normalization_type")?.[1] ?? null,
    };
  });
}

/** The values that steps after this one need, added to those known. */
export function withMeasures(measured: Measured, step: PlanStep, blocks: readonly LoudnessBlock[]): Measured {
  const found = (step.measures ?? []).flatMap(({ name, when }, n) => {
    const values = blocks[n]?.values;
    return when === "before" && values !== undefined ? [[name, values] as const] : [];
  });
  return { ...measured, ...Object.fromEntries(found) };
}

/** What the job's results say of the sound that this step made. */
export const loudnessResults = (step: PlanStep, blocks: readonly LoudnessBlock[]): LoudnessResult[] =>
  (step.measures ?? []).flatMap(({ name, when, targetLufs }, n) => {
    const block = blocks[n];
    return when === "after" && block !== undefined ? [loudnessResult(name, targetLufs, block)] : [];
  });

/** One sound that was brought to a loudness, for the job's results. Null: silence. */
export interface LoudnessResult {
  readonly name: string;
  readonly target_lufs: number;
  readonly measured: { readonly lufs: number | null; readonly true_peak: number | null; readonly lra: number | null };
  readonly achieved: { readonly lufs: number | null; readonly true_peak: number | null; readonly lra: number | null };
  readonly mode: string | null;
}

const finite = (value: number | undefined): number | null =>
  value === undefined || !Number.isFinite(value) ? null : value;

/** `block` is what the second pass printed of it. */
function loudnessResult(name: string, targetLufs: number, block: LoudnessBlock): LoudnessResult {
  const { values, mode } = block;
  const of = (side: "input" | "output") => ({
    lufs: finite(values[`${side}_i`]),
    true_peak: finite(values[`${side}_tp`]),
    lra: finite(values[`${side}_lra`]),
  });
  return { name, target_lufs: targetLufs, measured: of("input"), achieved: of("output"), mode };
}

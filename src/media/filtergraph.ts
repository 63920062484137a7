/**
 * A filter graph as values, and the one place that prints FFmpeg's syntax for it.
 *
 * Names of filters, options and pads are ours (checked, never a user's); option values may hold any text and are escaped.
 */
import { escapeFilterValue } from "./escape.ts";

export type FilterValue = string | number;

export interface Filter {
  readonly name: string;
  readonly options: readonly (readonly [string, FilterValue])[];
}

/** `[in…]filter,filter[out…]`: pads are names without brackets. */
export interface Chain {
  readonly inputs: readonly string[];
  readonly filters: readonly Filter[];
  readonly outputs: readonly string[];
}

export interface FilterGraph {
  readonly chains: readonly Chain[];
}

const NAME = /^[a-z0-9_]+$/i;
/** A stream of an input (`0:1`) or a label. */
const PAD = /^(\d+:\d+|[a-z][a-z0-9_]*)$/;

export function filter(name: string, options: Readonly<Record<string, FilterValue | undefined>> = {}): Filter {
  const given = Object.entries(options).filter((entry): entry is [string, FilterValue] => entry[1] !== undefined);
  return { name, options: given };
}

function checked(name: string, pattern: RegExp): string {
  if (!pattern.test(name)) throw new Error(`Not a name for a filter graph: ${JSON.stringify(name)}`);
  return name;
}

/** Numbers without an exponent, which FFmpeg reads but people do not, and without float dust. */
export function printNumber(value: number): string {
  if (!Number.isFinite(value)) throw new Error("A filter graph holds finite numbers only");
  return Number.isInteger(value) ? value.toFixed(0) : value.toFixed(6).replace(/0+$/, "").replace(/\.$/, "");
}

const printValue = (value: FilterValue): string =>
  typeof value === "number" ? printNumber(value) : escapeFilterValue(value);

export function printFilter({ name, options }: Filter): string {
  const printed = options.map(([key, value]) => `${checked(key, NAME)}=${printValue(value)}`).join(":");
  return `${checked(name, NAME)}${printed === "" ? "" : `=${printed}`}`;
}

const printPads = (pads: readonly string[]): string => pads.map((pad) => `[${checked(pad, PAD)}]`).join("");

function printChain({ inputs, filters, outputs }: Chain): string {
  const [first = filter("null"), ...rest] = filters;
  return `${printPads(inputs)}${[first, ...rest].map(printFilter).join(",")}${printPads(outputs)}`;
}

export const printGraph = ({ chains }: FilterGraph): string => chains.map(printChain).join(";");

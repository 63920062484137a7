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
  /** What it takes beside its chain. */
  readonly beside?: Beside;
}

/** A stream of another input, on its way into a filter. */
export interface Beside {
  /** Place in the plan's inputs. */
  readonly input: number;
  readonly stream: number;
  readonly filters: readonly Filter[];
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

/**
 * Chains in which every filter that takes a second stream stands first, with that stream's own chain before it. `inputOf`
 * gives FFmpeg's number of a plan's input.
 */
export const unfold = (chains: readonly Chain[], inputOf: (planInput: number) => number): Chain[] =>
  chains.flatMap((chain) => unfoldOne(chain, inputOf, 1));

function unfoldOne({ inputs, filters, outputs }: Chain, inputOf: (planInput: number) => number, n: number): Chain[] {
  const at = filters.findIndex(({ beside }) => beside !== undefined);
  const joint = filters[at];
  if (joint?.beside === undefined) return [{ inputs, filters, outputs }];
  const { beside, ...bare } = joint;
  const label = `${outputs[0] ?? "x"}b${n}`;
  const source = `${inputOf(beside.input)}:${beside.stream}`;
  const head: Chain[] = at === 0 ? [] : [{ inputs, filters: filters.slice(0, at), outputs: [`${label}m`] }];
  const rest = { inputs: [...(at === 0 ? inputs : [`${label}m`]), label], outputs };
  return [
    ...head,
    { inputs: [source], filters: beside.filters, outputs: [label] },
    ...unfoldOne({ ...rest, filters: [bare, ...filters.slice(at + 1)] }, inputOf, n + 1),
  ];
}

/** Plan inputs that the chains take streams of, besides their own. */
export const besides = (chains: readonly Chain[]): number[] =>
  chains.flatMap(({ filters }) => filters.flatMap(({ beside }) => (beside === undefined ? [] : [beside.input])));

const printPads = (pads: readonly string[]): string => pads.map((pad) => `[${checked(pad, PAD)}]`).join("");

function printChain({ inputs, filters, outputs }: Chain): string {
  const [first = filter("null"), ...rest] = filters;
  return `${printPads(inputs)}${[first, ...rest].map(printFilter).join(",")}${printPads(outputs)}`;
}

export const printGraph = ({ chains }: FilterGraph): string => chains.map(printChain).join(";");

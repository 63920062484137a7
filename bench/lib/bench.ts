/** What a bench is: a name, and a function from what the run gives it to what it claims. */
import type { Claim } from "./verdict.ts";

export interface BenchContext {
  /** A folder of its own, removed afterwards. */
  readonly folder: string;
  /** `./dev bench --long`: more rounds, more rows, larger files. */
  readonly long: boolean;
  /** One line of what is going on. */
  say(text: string): void;
}

export interface Bench {
  readonly name: string;
  readonly what: string;
  run(context: BenchContext): Promise<Claim[]>;
}

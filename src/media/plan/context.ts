/** What every part of the compiler is given. */
import type { ConvertOptions } from "../operations/options.schema.ts";
import type { Operation } from "../operations/parse.ts";
import type { Shape } from "../operations/shape.ts";
import type { Capabilities, MediaLimits, OutputRole, PlanInput } from "../types.ts";
import type { Joined } from "./join.ts";
import type { Source } from "./source.ts";

export interface PlanContext {
  readonly operations: readonly Operation[];
  readonly options: ConvertOptions;
  readonly shape: Shape;
  readonly source: Source;
  /** What `source` is made of where files are joined. */
  readonly joined: Joined | null;
  /** All of the job's; the first is the source's. */
  readonly inputs: readonly PlanInput[];
  readonly capabilities: Capabilities;
  readonly limits: MediaLimits;
  readonly threads: number;
  /** Which file is planned as a film: the main output, or a preview that is made in its way. */
  readonly output: { readonly id: number; readonly role: OutputRole; readonly name: string | null };
}

/** What every part of the compiler is given. */
import type { ConvertOptions } from "../operations/options.schema.ts";
import type { Operation } from "../operations/parse.ts";
import type { Shape } from "../operations/shape.ts";
import type { Capabilities, MediaLimits } from "../types.ts";
import type { Source } from "./source.ts";

export interface PlanContext {
  readonly operations: readonly Operation[];
  readonly options: ConvertOptions;
  readonly shape: Shape;
  readonly source: Source;
  readonly capabilities: Capabilities;
  readonly limits: MediaLimits;
  readonly threads: number;
}

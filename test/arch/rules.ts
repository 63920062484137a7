/** Every rule of the architecture. */
import * as code from "./code-rules.ts";
import * as imports from "./import-rules.ts";
import * as size from "./size-rules.ts";
import type { Rule } from "./source.ts";

export const RULES: readonly Rule[] = [...Object.values(imports), ...Object.values(size), ...Object.values(code)];

/** What can be said of `options.verify` before the input is known. */
import type { ErrorDetail } from "../../errors.ts";
import { isSoundOnly } from "../containers.ts";
import { vmafMissing } from "../measure/compile-measure.ts";
import type { Capabilities } from "../types.ts";
import type { ConvertOptions } from "./options.schema.ts";
import type { Shape } from "./shape.ts";

interface Found {
  readonly invalid: ErrorDetail[];
  readonly unsupported: ErrorDetail[];
}

/** `shape`: null for a package, which is checked in ways of its own. */
export function checkQuality(
  { verify }: ConvertOptions,
  shape: Shape | null,
  capabilities: Capabilities | null,
  { invalid, unsupported }: Found,
): void {
  if (verify === undefined) return;
  if (shape === null || !shape.hasPrimary) {
    const what = shape === null ? "a package" : "a job that writes no film or sound of its own";
    unsupported.push({ path: "options.verify", message: `does not go with ${what}` });
    return;
  }
  const seen = (["vmaf_min", "black_max", "freeze_max"] as const).filter((name) => verify[name] !== undefined);
  if (isSoundOnly(shape.container))
    for (const name of seen)
      invalid.push({ path: `options.verify.${name}`, message: `has no picture to look at in ${shape.container.name}` });
  if (verify.vmaf_min !== undefined && capabilities !== null && capabilities.vmaf?.ok !== true)
    unsupported.push({ path: "options.verify.vmaf_min", message: vmafMissing(capabilities) });
}

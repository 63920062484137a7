/** What can be said of `options.verify` and `options.target` before the input is known. */
import type { ErrorDetail } from "../../errors.ts";
import { isSoundOnly } from "../containers.ts";
import type { VmafModel } from "../measure/metrics.ts";
import { vmafProblem } from "../measure/vmaf-ability.ts";
import type { Capabilities } from "../types.ts";
import type { ConvertOptions } from "./options.schema.ts";
import type { Operation } from "./parse.ts";
import type { QualityTarget } from "./quality.schema.ts";
import type { Shape } from "./shape.ts";

interface Found {
  readonly invalid: ErrorDetail[];
  readonly unsupported: ErrorDetail[];
}

/** What a crf that is to be found leaves no room for. */
const RIVALS = ["crf", "video_bitrate", "two_pass"] as const;

interface Asked {
  /** Of the score, beside `vmaf_model`. */
  readonly field: string;
  readonly model: VmafModel;
}

function checkVmaf(
  option: string,
  { field, model }: Asked,
  capabilities: Capabilities | null,
  unsupported: ErrorDetail[],
): void {
  const problem = capabilities === null ? null : vmafProblem(capabilities.vmaf, model);
  if (problem === null) return;
  unsupported.push({ path: `${option}.${problem.isOfModel ? "vmaf_model" : field}`, message: problem.message });
}

function checkTarget(
  target: QualityTarget,
  shape: Shape,
  capabilities: Capabilities | null,
  { invalid, unsupported }: Found,
): void {
  const { transcode, container } = shape;
  if (transcode === null) {
    invalid.push({ path: "options.target", message: "needs an operation transcode, whose quality it is to find" });
    return;
  }
  const { operation, index } = transcode;
  if (isSoundOnly(container) || operation.video_codec === "copy" || operation.video_codec === "none")
    invalid.push({ path: "options.target", message: "needs a picture that is encoded" });
  for (const name of RIVALS)
    if (operation[name] !== undefined && operation[name] !== false)
      invalid.push({
        path: `operations[${index}].${name}`,
        message: "cannot stand beside options.target, which finds a crf",
      });
  const { hardware_acceleration: card } = operation;
  if (card !== undefined && card !== "none")
    unsupported.push({
      path: `operations[${index}].hardware_acceleration`,
      message: "does not go with options.target, which is for encoding in software",
    });
  checkVmaf("options.target", { field: "vmaf", model: target.vmaf_model }, capabilities, unsupported);
}

export interface QualityRequest {
  readonly operations: readonly Operation[];
  readonly options: ConvertOptions;
  readonly capabilities: Capabilities | null;
}

/** `shape`: null for a package, which is checked in ways of its own. */
export function checkQuality(
  { operations, options: { verify, target }, capabilities }: QualityRequest,
  shape: Shape | null,
  found: Found,
): void {
  const { invalid, unsupported } = found;
  if (shape === null || !shape.hasPrimary) {
    const what = shape === null ? "a package" : "a job that writes no film or sound of its own";
    if (verify !== undefined) unsupported.push({ path: "options.verify", message: `does not go with ${what}` });
    if (target !== undefined) unsupported.push({ path: "options.target", message: `does not go with ${what}` });
    return;
  }
  if (target !== undefined) checkTarget(target, shape, capabilities, found);
  if (verify === undefined) return;
  const seen = (["vmaf_min", "black_max", "freeze_max"] as const).filter((name) => verify[name] !== undefined);
  if (isSoundOnly(shape.container))
    for (const name of seen)
      invalid.push({ path: `options.verify.${name}`, message: `has no picture to look at in ${shape.container.name}` });
  if (verify.vmaf_min === undefined) return;
  checkVmaf("options.verify", { field: "vmaf_min", model: verify.vmaf_model }, capabilities, unsupported);
  // The same movements smoothed by two builds of the library are two films: 16 dB apart between 5.1 and 9.0.
  const elsewhere = capabilities?.vmaf?.ok === true && capabilities.vmaf.program === "vmaf";
  if (elsewhere && operations.some((one) => one.type === "filter" && one.name === "stabilize"))
    unsupported.push({
      path: "options.verify.vmaf_min",
      message: "does not go with stabilize where another FFmpeg measures VMAF, which would stabilize in its own way",
    });
}

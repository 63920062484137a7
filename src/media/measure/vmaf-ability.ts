/** What a libvmaf can do: how it is asked, and which models it has. */
import type { VmafModel } from "./metrics.ts";

/**
 * `options`: libvmaf was given its model by `model_path` before FFmpeg 5.0, by `model` since. `models`: with which it has
 * measured something; absent in what older workers wrote of themselves, which are taken to have all.
 */
export type VmafAbility =
  | {
      readonly ok: true;
      readonly program: "ffmpeg" | "vmaf";
      readonly options: "old" | "new";
      readonly models?: readonly string[];
    }
  | { readonly ok: false; readonly reason: string };

/** The models of old libvmafs are files; where they lie is the system's. */
export const oldModelPath = (model: VmafModel): string => `/usr/share/model/${model}.json`;

export interface VmafProblem {
  /** There is a libvmaf, which lacks this model. */
  readonly isOfModel: boolean;
  readonly message: string;
}

/** Why nothing can be measured with `model`; null when it can. */
export function vmafProblem(vmaf: VmafAbility | undefined, model: VmafModel): VmafProblem | null {
  if (vmaf?.ok !== true) {
    const reason = vmaf?.reason ?? "this FFmpeg was built without libvmaf";
    return { isOfModel: false, message: `VMAF cannot be measured here: ${reason}.` };
  }
  if (vmaf.models?.includes(model) ?? true) return null;
  return {
    isOfModel: true,
    message: `VMAF cannot be measured here with ${model}: this libvmaf has ${vmaf.models?.join(", ")} only.`,
  };
}

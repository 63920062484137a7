/** A plan as people read it. */
import type { z } from "zod";
import type { ConvertSpec } from "../../src/jobs/convert.schema.ts";
import type { Arg, Plan, PlannedOutput, PlanStep, SearchPlan } from "../../src/media/types.ts";
import { toSnakeCase } from "../snake-case.ts";
import type { planSchema } from "./convert.routes.ts";

/** Files are shown as in the work folder, which has no place yet. */
function toText(arg: Arg): string {
  if (typeof arg === "string") return arg;
  const { file, form = "url", prefix = "" } = arg;
  return form === "url" || form === "pattern" ? `${prefix}file:${file}` : `${prefix}${file}`;
}

/** A further output lies beside `output_path`. */
function outputUri(output: PlannedOutput, spec: ConvertSpec): string {
  return output.name === null ? spec.output : spec.output.replace(/[^/]*$/, () => output.name ?? "");
}

const stepView = (step: PlanStep) => ({
  id: step.id,
  argv: step.args.map(toText),
  filter_graph: step.filterGraph,
  duration_seconds: step.durationSeconds,
  threads: step.threads,
  memory_bytes_max: step.memoryBytesMax,
  writes: [...step.writes],
});

const searchView = ({ grid, samples, target }: SearchPlan) => ({
  target: { ...target },
  crf: { ...grid },
  samples: samples.map(({ startSeconds, durationSeconds, steps }) => ({
    ...{ start_seconds: startSeconds, duration_seconds: durationSeconds },
    steps: steps.map(stepView),
  })),
});

export function toPlanView(plan: Plan, spec: ConvertSpec): z.infer<typeof planSchema> {
  return {
    files: [...plan.files],
    steps: plan.steps.map(stepView),
    outputs: plan.outputs.map((output) => ({
      role: output.role,
      uri: outputUri(output, spec),
      media_type: output.mediaType,
      expect: toSnakeCase(output.expect),
    })),
    transfers: (plan.transfers ?? []).map((transfer) => ({ ...transfer })),
    package: plan.package === undefined ? null : toSnakeCase(plan.package),
    search: plan.search === undefined ? null : searchView(plan.search),
    copies_only: plan.copiesOnly,
    work_bytes_max: plan.workBytesMax,
    warnings: [...plan.warnings],
  };
}

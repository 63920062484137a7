/** From the spec and the probed inputs to the plan, and room for all it will write. */
import { RendiffError } from "../../../src/errors.ts";
import { compile, keyframesFor } from "../../../src/media/compile.ts";
import { withTransfers } from "../../../src/media/transfers.ts";
import type { Capabilities, MediaInfo, MediaLimits, Plan } from "../../../src/media/types.ts";
import { sameObject } from "../../../src/storage/same-object.ts";
import { layoutOf } from "../../../src/transfer/remote-input.ts";
import { type AttemptContext, type Held, held } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import { reserve } from "../reserve.ts";
import { fileNameOf, outputPlace, type RunnableSpec, runnableOf } from "../spec.ts";

export interface PlanPorts {
  readonly capabilities: Capabilities;
  readonly limits: MediaLimits;
  readonly threads: number;
}

/** Pure but for its ports: what `dry_run` shows is what an attempt runs. */
export function planOf(
  { capabilities, limits, threads }: PlanPorts,
  spec: RunnableSpec,
  inputs: readonly { readonly file: string; readonly media: MediaInfo }[],
  attemptName?: string,
): Plan {
  const { operations, options, output } = spec;
  return compile({
    ...{ operations, options, outputName: fileNameOf(output), inputs, capabilities, limits, threads },
    ...(attemptName === undefined ? {} : { attemptName }),
  });
}

type Names = readonly (string | null)[];
type Stores = Pick<AttemptPorts, "storage">;

/** Of what may be there already; a package's segments are in a folder that nobody else has. */
function namesOf({ outputs, package: packaged }: Plan): Names {
  const names = outputs.map(({ name }) => name);
  if (packaged === undefined) return names;
  const entries = [packaged.hls, packaged.dash].flatMap((entry) =>
    entry === null ? [] : [`${packaged.name}/${entry}`],
  );
  return [...names, ...entries, ...(packaged.keyUri === null ? [] : [`${packaged.name}.key`])];
}

/** Which keyframes of the input `planOf` will ask for; null for none. */
export function keyframesOf(ports: Omit<PlanPorts, "threads">, spec: RunnableSpec, file: string, media: MediaInfo) {
  const { operations, options, output, inputs } = spec;
  if (inputs.length > 1) return null;
  const { capabilities, limits } = ports;
  try {
    return keyframesFor({
      ...{ operations, options, outputName: fileNameOf(output), inputs: [{ file, media }] },
      // Whatever number of threads: it moves no keyframe.
      ...{ capabilities, limits, threads: 1 },
    });
  } catch (error) {
    // What cannot be planned is said when it is planned.
    if (error instanceof RendiffError) return null;
    throw error;
  }
}

/** `overwrite: false`: refused before any work is done, and again at publishing. */
async function refuseExisting({ storage }: Stores, spec: RunnableSpec, names: Names, signal: AbortSignal) {
  if (spec.options.overwrite !== false) return;
  for (const name of names) {
    const { backend, key } = outputPlace(spec.output, name);
    if ((await storage.backend(backend).stat(key, signal)) === null) continue;
    throw new RendiffError({
      kind: "output.exists",
      publicMessage: "The output exists already, and options.overwrite is false.",
      hint: "Choose another output_path, or leave out options.overwrite.",
    });
  }
}

/** Whatever the places are called: through links, or on a file system that ignores case, they may be one file. */
async function refuseInputs({ storage }: Stores, spec: RunnableSpec, names: Names): Promise<void> {
  for (const name of names) {
    for (const input of spec.inputs) {
      if (!(await sameObject(storage, input, outputPlace(spec.output, name)))) continue;
      throw new RendiffError({
        kind: "output.conflict",
        publicMessage:
          input === spec.inputs[0]
            ? "The output is the input itself; inputs are never overwritten."
            : "The output is a file that an operation reads; inputs are never overwritten.",
        hint: "Choose another output_path.",
      });
    }
  }
}

/** Throws `output.exists` or `output.conflict` for what may not be written under these names. */
export async function refuseOutputs(stores: Stores, spec: RunnableSpec, names: Names, signal: AbortSignal) {
  await refuseInputs(stores, spec, names);
  await refuseExisting(stores, spec, names, signal);
}

export async function plan(
  ports: AttemptPorts,
  { claim, inputs, media, scope }: AttemptContext,
  signal: AbortSignal,
): Promise<Held<Plan>> {
  const spec = runnableOf(claim.job, ports.storage);
  const probed = inputs.map(({ file }, index) => ({ file, media: media[index] as MediaInfo }));
  const { jobId, leaseToken } = claim.lease;
  const threads = await ports.processors.threadsFor(claim.job.priority);
  const compiled = planOf({ ...ports, threads }, spec, probed, `${jobId}-${leaseToken}`);
  const made = withTransfers(
    compiled,
    probed.map(({ file, media: info }, index) => {
      const remote = inputs[index]?.remote ?? null;
      return { file, media: info, layout: remote === null ? null : layoutOf(remote) };
    }),
  );
  // Neither changes anything that the other sees.
  const [refused, reserved] = await Promise.allSettled([
    refuseOutputs(ports, spec, namesOf(made), signal),
    reserve(ports.workFolders, claim.lease, made.workBytesMax),
  ]);
  if (reserved.status === "fulfilled") scope.reservations.push(reserved.value);
  if (refused.status === "rejected") throw refused.reason;
  if (reserved.status === "rejected") throw reserved.reason;
  return held(made);
}

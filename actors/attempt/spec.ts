/** A job's stored spec, parsed again by the program that runs it, and the places it names. */
import { RendiffError } from "../../src/errors.ts";
import type { ConvertSpec } from "../../src/jobs/convert.schema.ts";
import { JOB_TYPES, type Job } from "../../src/jobs/types.ts";
import type { ConvertOptions } from "../../src/media/operations/options.schema.ts";
import { type Operation, parseOperations } from "../../src/media/operations/parse.ts";
import { type InputKind, referencesOf } from "../../src/media/operations/references.ts";
import type { ObjectRef, StorageRegistry } from "../../src/storage/port.ts";
import { parseStorageUri } from "../../src/storage/uri.ts";

/** An object to read, and how. */
export interface InputRef extends ObjectRef {
  readonly kind: InputKind;
}

export interface RunnableSpec {
  /** The first is the one to convert; then what the operations name, in their order. */
  readonly inputs: readonly InputRef[];
  readonly output: ObjectRef;
  readonly operations: readonly Operation[];
  readonly options: ConvertOptions;
}

export function toRunnable(spec: ConvertSpec, storage: StorageRegistry): RunnableSpec {
  const place = (uri: string): ObjectRef => {
    const { backend, key } = parseStorageUri(uri, { backends: storage.names });
    return { backend, key };
  };
  const operations = parseOperations(spec.operations);
  const kinds: readonly InputKind[] = ["media", ...referencesOf(operations).map(({ kind }) => kind)];
  if (kinds.length !== spec.inputs.length) {
    throw new RendiffError({
      kind: "plan.unsupported",
      publicMessage: "The job was stored by another version, which counts its inputs differently; submit it again.",
    });
  }
  return {
    inputs: spec.inputs.map((uri, index) => ({ ...place(uri), kind: kinds[index] ?? "media" })),
    output: place(spec.output),
    operations,
    options: spec.options,
  };
}

/** Each stage asks; a claim's job never changes. */
const runnables = new WeakMap<Job, { readonly storage: StorageRegistry; readonly spec: RunnableSpec }>();

export function runnableOf(job: Job, storage: StorageRegistry): RunnableSpec {
  const known = runnables.get(job);
  if (known?.storage === storage) return known.spec;
  if (!JOB_TYPES.includes(job.type)) {
    throw new RendiffError({
      kind: "plan.unsupported",
      publicMessage: `Jobs of type ${job.type} are not available in this version.`,
    });
  }
  const spec = toRunnable(job.spec as ConvertSpec, storage);
  runnables.set(job, { storage, spec });
  return spec;
}

export const asksForReuse = ({ spec }: Pick<Job, "spec">): boolean =>
  (spec as Partial<ConvertSpec>).options?.reuse === true;

export const fileNameOf = (ref: ObjectRef): string => ref.key.slice(ref.key.lastIndexOf("/") + 1);

const folderOf = ({ key }: ObjectRef): string => key.slice(0, key.lastIndexOf("/") + 1);

/** What `outputPlace` was given for this place; undefined where it cannot have made it. */
export function outputName(output: ObjectRef, { backend, key }: ObjectRef): string | null | undefined {
  if (backend !== output.backend || !key.startsWith(folderOf(output))) return undefined;
  return key === output.key ? null : key.slice(folderOf(output).length);
}

/** Where an output lies: the output itself, or a name beside it. */
export function outputPlace(output: ObjectRef, name: string | null): ObjectRef {
  if (name === null) return output;
  return { backend: output.backend, key: folderOf(output) + name };
}

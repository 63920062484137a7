/**
 * What is taken over from an earlier job is copied by its store where it stays in that store, to where the job stages its own;
 * its bytes come here only where that cannot be. As with all staging the intent is on record first, so whatever dies in
 * between can be cleaned up by anyone.
 */
import type { JobOutput } from "../../../src/jobs/store.ts";
import type { ObjectRef, StagedBytes, StagedObject } from "../../../src/storage/port.ts";
import type { AttemptContext } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import type { Recorder } from "../recorder.ts";

/** It is for nobody to catch but the stage itself. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost";
}

export interface CopyPorts {
  readonly ports: AttemptPorts;
  readonly recorder: Pick<Recorder, "staged" | "reusable">;
  readonly context: Pick<AttemptContext, "claim" | "scope">;
  readonly signal: AbortSignal;
}

/** Nobody will publish it. Rejects where the store is away: the attempt's end looks at it again. */
async function discardStaged({ ports, context: { scope }, signal }: CopyPorts, staged: StagedObject): Promise<void> {
  await ports.storage.backend(staged.backend).abort(staged, signal);
  scope.staged = scope.staged.filter((one) => one !== staged);
}

/** Of a result that cannot be taken over as a whole. */
export async function discardAll(to: CopyPorts): Promise<void> {
  for (const staged of to.context.scope.staged) await discardStaged(to, staged);
}

/** Null where the bytes have to come here after all. Throws LeaseLost. */
export async function copyWithin(to: CopyPorts, output: JobOutput, place: ObjectRef): Promise<StagedBytes | null> {
  const { ports, recorder, signal } = to;
  const { claim, scope } = to.context;
  const backend = ports.storage.backend(place.backend);
  if (output.backend !== place.backend || backend.fillFrom === undefined) return null;
  if (!(await recorder.staged([place]))) throw new LeaseLost();
  const { jobId, leaseToken } = claim.lease;
  const { key, identity, sizeBytes, sha256, mediaType } = output;
  const staged = await backend.stage(place.key, { jobId, leaseToken }, signal, mediaType);
  scope.staged = [...scope.staged, staged];
  if (!(await recorder.staged([staged]))) throw new LeaseLost();
  try {
    return await backend.fillFrom(staged, { key, identity, sizeBytes, sha256 }, { mediaType, signal });
  } catch (error) {
    signal.throwIfAborted();
    ports.logger.info(
      { err: error, jobId, backend: backend.name },
      "an output is brought here: its store did not copy it",
    );
    await discardStaged(to, staged);
    return null;
  }
}

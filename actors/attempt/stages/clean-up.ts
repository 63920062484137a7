/**
 * However an attempt ends, it leaves nothing: no process, no work folder, no staged bytes that nobody will publish.
 * Stages are aborted by the time this runs; it waits until they have really stopped.
 */
import type { StagedObject } from "../../../src/storage/port.ts";
import type { AttemptContext } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import type { Recorder } from "../recorder.ts";
import { releaseReservations, settled } from "../scope.ts";

/** What this process holds. */
export async function cleanLocal(ports: AttemptPorts, { claim, scope }: AttemptContext): Promise<void> {
  await ports.workFolders.remove(claim.lease);
  scope.workDir = null;
  releaseReservations(scope);
}

/** Staged bytes of an attempt that never passed the fence and still holds its job. */
export async function abortStaged(ports: AttemptPorts, staged: readonly StagedObject[]): Promise<void> {
  for (const object of staged) await ports.storage.backend(object.backend).abort(object);
}

/** Staged bytes that the database says are nobody's: none of a manifest's, whoever holds the job by now. */
export async function cleanOwnStaging(ports: AttemptPorts, recorder: Recorder): Promise<void> {
  for (const object of await recorder.ownStaging()) {
    await abortStaged(ports, [object]);
    await recorder.forgetStaging(object);
  }
}

/** Waits for processes and transfers, then removes the work folder. */
export async function stopWork(ports: AttemptPorts, context: AttemptContext): Promise<void> {
  await settled(context.scope);
  await cleanLocal(ports, context);
}

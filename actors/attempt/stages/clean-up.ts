/**
 * However an attempt ends, it leaves nothing: no process, no work folder, no staged bytes that nobody will publish.
 * Stages are aborted by the time this runs; it waits until they have really stopped.
 *
 * A clean-up that fails never keeps an end from being recorded: the sweeper finds the rest by the rows.
 */
import type { StagedObject } from "../../../src/storage/port.ts";
import type { AttemptContext } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import { releaseReservations, settled } from "../scope.ts";

async function tryToClean({ logger }: AttemptPorts, { claim }: AttemptContext, work: () => Promise<void>) {
  try {
    await work();
  } catch (error) {
    const { jobId } = claim.lease;
    logger.warn({ err: error, jobId }, "something of an attempt was not cleaned up; the sweeper looks at it again");
  }
}

/** What this process holds. */
export async function cleanLocal(ports: AttemptPorts, context: AttemptContext): Promise<void> {
  const { claim, scope } = context;
  await tryToClean(ports, context, () => ports.workFolders.remove(claim.lease));
  scope.workDir = null;
  releaseReservations(scope);
}

async function abortAll({ storage }: AttemptPorts, staged: readonly StagedObject[]): Promise<void> {
  for (const object of staged) await storage.backend(object.backend).abort(object);
}

/** Staged bytes of an attempt that never passed the fence and still holds its job. */
export function abortStaged(ports: AttemptPorts, context: AttemptContext): Promise<void> {
  return tryToClean(ports, context, () => abortAll(ports, context.scope.staged));
}

/**
 * Staged bytes that the database says are nobody's, and those of which it has the intent only: none of a manifest's, whoever
 * holds the job by now. It asks the database once, without patience: one that is away must not keep an attempt around that
 * has ended.
 */
export function cleanOwnStaging(ports: AttemptPorts, context: AttemptContext): Promise<void> {
  const recorder = ports.recorder(context.claim);
  return tryToClean(ports, context, async () => {
    const recorded = await recorder.ownStaging();
    const begun = context.manifest === null ? context.scope.staged : [];
    const unrecorded = begun.filter(
      ({ backend, key }) => !recorded.some((one) => one.backend === backend && one.key === key),
    );
    for (const object of [...recorded, ...unrecorded]) {
      await abortAll(ports, [object]);
      await recorder.forgetStaging(object);
    }
  });
}

/** Waits for processes and transfers, then removes the work folder. */
export async function stopWork(ports: AttemptPorts, context: AttemptContext): Promise<void> {
  context.scope.unwanted.abort(new Error("The attempt has ended."));
  await settled(context.scope);
  await cleanLocal(ports, context);
}

/**
 * Begins the staging of outputs while they are verified: the intent on record, and what a store does before the first byte,
 * are waited for beside the program that reads them. No byte of an output leaves before it is known to be good.
 */
import type { Plan } from "../../../src/media/types.ts";
import type { ObjectRef } from "../../../src/storage/port.ts";
import type { AttemptContext } from "../attempt.types.ts";
import { fewAtOnce } from "../few-at-once.ts";
import type { AttemptPorts } from "../ports.ts";
import type { Recorder } from "../recorder.ts";
import { outputPlace, runnableOf } from "../spec.ts";

/** Of one job. */
const BEGUN_AT_ONCE = 4;

/**
 * Resolves to false when the lease is lost. What a store does not begin is no failure yet: the upload asks it again. Rejects
 * only where the intents cannot be recorded.
 */
export async function stageEarly(
  ports: AttemptPorts,
  recorder: Recorder,
  { claim, plan, scope }: AttemptContext,
  signal: AbortSignal,
): Promise<boolean> {
  const { jobId, leaseToken } = claim.lease;
  const spec = runnableOf(claim.job, ports.storage);
  // Until the handle is on record only the intent tells of it, and what a store does not find by that would be left lying.
  const mayBegin = ({ backend, key }: ObjectRef): boolean =>
    ports.storage.backend(backend).properties.findsStaging &&
    !scope.staged.some((one) => one.backend === backend && one.key === key);
  const missing = (plan as Plan).outputs
    .map(({ name, mediaType }) => ({ ...outputPlace(spec.output, name), mediaType }))
    .filter(mayBegin);
  if (missing.length === 0) return true;
  if (!(await recorder.staged(missing.map(({ backend, key }) => ({ backend, key }))))) return false;
  await fewAtOnce(missing, BEGUN_AT_ONCE, async ({ backend, key, mediaType }) => {
    try {
      const object = await ports.storage.backend(backend).stage(key, { jobId, leaseToken }, signal, mediaType);
      scope.staged = [...scope.staged, object];
    } catch (error) {
      if (!signal.aborted) ports.logger.info({ err: error, jobId, backend }, "an output is staged when it is verified");
    }
  });
  return true;
}

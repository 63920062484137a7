/** The ways an attempt ends without a published output. Each stops its work first and records the end after. */
import { toRendiffError } from "../../../src/errors.ts";
import { toFailure } from "../../../src/jobs/failure.ts";
import { type AttemptContext, type Held, held, LEASE_LOST } from "../attempt.types.ts";
import type { AttemptPorts } from "../ports.ts";
import type { Recorder } from "../recorder.ts";
import { abortStaged, cleanOwnStaging, stopWork } from "./clean-up.ts";

/** The answer to a cancel goes out when the row says so: FFmpeg is dead and nothing is left by then. */
export async function cancel(ports: AttemptPorts, recorder: Recorder, context: AttemptContext): Promise<Held<null>> {
  await stopWork(ports, context);
  await abortStaged(ports, context);
  if (!(await recorder.cancelled())) return LEASE_LOST;
  context.scope.ended = true;
  await cleanOwnStaging(ports, context);
  return held(null);
}

export async function snooze(ports: AttemptPorts, recorder: Recorder, context: AttemptContext): Promise<Held<null>> {
  await stopWork(ports, context);
  await abortStaged(ports, context);
  if (!(await recorder.snoozed())) return LEASE_LOST;
  context.scope.ended = true;
  await cleanOwnStaging(ports, context);
  return held(null);
}

export async function fail(
  ports: AttemptPorts,
  recorder: Recorder,
  context: AttemptContext,
): Promise<"failed" | "retrying" | "cancelled" | "lost"> {
  await stopWork(ports, context);
  // With a manifest the row names these bytes, and a later attempt publishes them.
  if (context.manifest === null) await abortStaged(ports, context);
  const error = toRendiffError(context.error);
  const outcome = await recorder.fail(toFailure(error), error.retry);
  if (outcome === "lost") return outcome;
  context.scope.ended = true;
  await cleanOwnStaging(ports, context);
  return outcome;
}

/** The job is somebody else's by now: only what is certainly ours is removed. */
export async function abandon(ports: AttemptPorts, context: AttemptContext): Promise<void> {
  await stopWork(ports, context);
  // Nothing names them where the fence was never sent. Their rows may be gone: of a worker that froze between the intent and
  // the upload the sweeper forgot an intent of which there was nothing to see, and what it began after that nobody else knows.
  if (context.manifest === null) await abortStaged(ports, context);
  await cleanOwnStaging(ports, context);
}

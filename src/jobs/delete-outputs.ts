/**
 * Deleting a job's outputs: take the keys, delete the very objects that were recorded, record what is gone.
 *
 * A crash in between leaves the keys claimed; the same call, or the reconciler, takes them over and finishes.
 */
import type { Sql } from "../database/sql.ts";
import { publishChange } from "../events/messages.ts";
import type { StorageRegistry } from "../storage/port.ts";
import type { AnnounceDeps } from "./announce.ts";
import { claimOutputsForDeletion, finishOutputDeletion } from "./retention.ts";
import type { JobOutput } from "./store.ts";
import type { JobId } from "./types.ts";

/** Longer than a delete request can take: after it an unfinished deletion may be taken over. */
const TAKEOVER_MS = 60_000;
const DELETE_TIMEOUT_MS = 30_000;

export interface DeleteOutputsDeps extends AnnounceDeps {
  readonly sql: Sql;
  readonly storage: StorageRegistry;
}

export interface DeletedOutputs {
  /** Ordinals of the outputs whose objects are gone: deleted, or another's before. */
  readonly deleted: readonly number[];
  /** Ordinals of those whose key another job is publishing to. */
  readonly busy: readonly number[];
}

async function deleteObject(storage: StorageRegistry, output: JobOutput, until: readonly AbortSignal[]): Promise<void> {
  const signal = AbortSignal.any([AbortSignal.timeout(DELETE_TIMEOUT_MS), ...until]);
  // False means that the recorded object is not there any more, which is what was wanted.
  await storage.backend(output.backend).delete(output.key, output.identity, signal);
}

/** Rejects with the first storage error, after recording what was deleted before and beside it. */
export async function deleteOutputs(
  deps: DeleteOutputsDeps,
  jobId: JobId,
  ...until: readonly AbortSignal[]
): Promise<DeletedOutputs> {
  const { claimed, busy } = await claimOutputsForDeletion(deps.sql, { jobId, takeoverMs: TAKEOVER_MS });
  const results = await Promise.allSettled(claimed.map((output) => deleteObject(deps.storage, output, until)));
  const outcomes = claimed.map(({ ordinal }, index) => ({ ordinal, gone: results[index]?.status === "fulfilled" }));
  if (outcomes.length > 0) await finishOutputDeletion(deps.sql, { jobId, outcomes });
  await publishChange(deps.coordination.bus, jobId).catch((error: unknown) => {
    deps.logger.warn({ err: error }, "a job's listeners were not told of deleted outputs");
  });
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return {
    deleted: outcomes.map(({ ordinal }) => ordinal),
    busy: busy.map(({ ordinal }) => ordinal),
  };
}

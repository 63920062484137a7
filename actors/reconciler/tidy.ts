/** Sweeping and retention: what nobody will publish, what nobody owns, what has expired. Bounded per round. */
import { expire } from "../../src/jobs/cleanup.ts";
import { deleteStagingRow, orphanStaging } from "../../src/jobs/staging.ts";
import type { ReconcilerPorts } from "./reconciler.logic.ts";

const BATCH = 100;
/** Of one staged object. */
const SWEEP_TIMEOUT_MS = 30_000;

export type TidyPorts = Pick<
  ReconcilerPorts,
  | "sql"
  | "coordination"
  | "storage"
  | "logger"
  | "tickIntervalMs"
  | "reapAfterTicks"
  | "retentionJobsMs"
  | "retentionOutputsMs"
>;

async function sweepStaging({ sql, storage, logger, tickIntervalMs, reapAfterTicks }: TidyPorts): Promise<void> {
  // A worker that froze between the intent and the upload gets time to notice that it lost its lease.
  const graceMs = tickIntervalMs * reapAfterTicks * 4;
  const problems: unknown[] = [];
  for (const row of await orphanStaging(sql, BATCH, graceMs)) {
    try {
      // Without a handle only the intent is on record: whatever this job and token staged there is removed.
      await storage
        .backend(row.backend)
        .abort(row.staged ?? { ...row, handle: "" }, AbortSignal.timeout(SWEEP_TIMEOUT_MS));
      await deleteStagingRow(sql, row);
      logger.info({ jobId: row.jobId, leaseToken: row.leaseToken }, "swept staged bytes that nobody will publish");
    } catch (error) {
      // A store that is away must not keep the others' from being swept.
      problems.push(error);
    }
  }
  if (problems.length > 0) throw problems[0];
}

/** Each part is tried whatever becomes of the others; the first failure is thrown at the end. */
export async function tidy(ports: TidyPorts): Promise<void> {
  const results = await Promise.allSettled([sweepStaging(ports), expire(ports, ports)]);
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}

/** Sweeping and retention: what nobody will publish, what nobody owns, what has expired. Bounded per round. */
import { expire } from "../../src/jobs/cleanup.ts";
import { settleAll } from "../../src/jobs/settle-all.ts";
import { deleteStagingRow, orphanStaging } from "../../src/jobs/staging.ts";
import type { StorageBackend } from "../../src/storage/port.ts";
import type { ReconcilerPorts } from "./reconciler.logic.ts";

const BATCH = 100;
/** Of one store's batch: so long may a store that hangs hold the round up. */
const SWEEP_TIMEOUT_MS = 30_000;

export type TidyPorts = Pick<
  ReconcilerPorts,
  | "sql"
  | "coordination"
  | "storage"
  | "uploads"
  | "logger"
  | "tickIntervalMs"
  | "reapAfterTicks"
  | "retentionJobsMs"
  | "retentionOutputsMs"
>;

async function sweepStaging(ports: TidyPorts, backend: StorageBackend): Promise<void> {
  const { sql, logger, tickIntervalMs, reapAfterTicks } = ports;
  // A worker that froze between the intent and the upload gets time to notice that it lost its lease.
  const graceMs = tickIntervalMs * reapAfterTicks * 4;
  const late = AbortSignal.timeout(SWEEP_TIMEOUT_MS);
  const problems: unknown[] = [];
  for (const row of await orphanStaging(sql, BATCH, graceMs, backend.name)) {
    if (late.aborted) break;
    try {
      // Without a handle only the intent is on record: whatever this job and token staged there is removed.
      await backend.abort(row.staged ?? { ...row, handle: "" }, late);
      await deleteStagingRow(sql, row);
      logger.info({ jobId: row.jobId, leaseToken: row.leaseToken }, "swept staged bytes that nobody will publish");
    } catch (error) {
      problems.push(error);
    }
  }
  if (problems.length > 0) throw problems[0];
}

/** Each part and each store is tried whatever becomes of the others; the first failure is thrown at the end. */
export async function tidy(ports: TidyPorts): Promise<void> {
  const { storage } = ports;
  const backends = storage.names.map((name) => storage.backend(name)).filter(({ properties }) => properties.writable);
  await settleAll([
    ...backends.map((backend) => sweepStaging(ports, backend)),
    expire(ports, ports).then(() => {}),
    ports.uploads.sweep(BATCH).then(() => {}),
  ]);
}

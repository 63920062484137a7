/** Cancelling: it succeeds only where there is no manifest. */
import type { SqlRunner } from "../database/sql.ts";
import { CANCEL_WANTED, IS_OPEN, IS_PROCESSING, NOT_PUBLISHING } from "./guards.ts";
import { appendEvent } from "./statements.ts";
import { getJob, isUuid, JOB_COLUMNS, toJob } from "./store.ts";
import type { Job, KeyId } from "./types.ts";

export type CancelResult =
  /** `cancelled`: it has ended. `requested`: its worker will end it. `conflict`: it ended before or is being published. */
  | { readonly outcome: "cancelled" | "requested" | "conflict"; readonly job: Job }
  | { readonly outcome: "not_found"; readonly job: null };

const CANCEL = `
WITH changed AS (
  UPDATE jobs j SET
    status = CASE WHEN ${IS_PROCESSING} THEN 'processing' ELSE 'cancelled' END,
    completed_at = CASE WHEN ${IS_PROCESSING} THEN NULL ELSE now() END,
    cancel_requested_at = now(), updated_at = now(), log_seq = j.log_seq + 1
  WHERE j.id = $1 AND ($2::uuid IS NULL OR j.key_id = $2::uuid) AND ${IS_OPEN} AND ${NOT_PUBLISHING}
    AND NOT (${IS_PROCESSING} AND ${CANCEL_WANTED})
  RETURNING *),
${appendEvent(
  "changed",
  "CASE u.status WHEN 'cancelled' THEN 'job.cancelled' ELSE 'job.cancel_requested' END",
  "jsonb_build_object('attempt', u.attempt)",
)}
SELECT ${JOB_COLUMNS} FROM changed`;

/**
 * Ends a queued job at once and asks the holder of a running one; asking twice changes nothing. `keyId: null` may cancel
 * every key's jobs.
 */
export async function cancelJob(
  sql: SqlRunner,
  { jobId, keyId }: { jobId: string; keyId: KeyId | null },
): Promise<CancelResult> {
  if (!isUuid(jobId)) return { outcome: "not_found", job: null };
  const [row] = await sql.query(CANCEL, [jobId, keyId]);
  const job = row === undefined ? await getJob(sql, { jobId, keyId }) : toJob(row);
  if (job === null) return { outcome: "not_found", job: null };
  if (row !== undefined) return { outcome: job.status === "cancelled" ? "cancelled" : "requested", job };
  const pending = job.status === "processing" && job.manifest === null && job.cancelRequestedAt !== null;
  return { outcome: pending ? "requested" : "conflict", job };
}

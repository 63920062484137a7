/** Staged bytes that nobody will publish: which they are, and forgetting them once they are gone from storage. */
import type { SqlRow, SqlRunner } from "../database/sql.ts";
import type { StagedObject } from "../storage/port.ts";
import { STAGING_IS_ORPHAN } from "./guards.ts";
import { milliseconds } from "./statements.ts";
import type { JobId, Lease } from "./types.ts";

export interface StagedRow {
  readonly jobId: JobId;
  readonly leaseToken: number;
  readonly backend: string;
  readonly key: string;
  /** Null: only the intent is on record; the upload may or may not have begun. */
  readonly staged: StagedObject | null;
  readonly createdAt: Date;
}

const STAGED_COLUMNS = "s.job_id, s.lease_token, s.backend, s.key, s.staged, s.created_at";

function toStagedRow(row: SqlRow): StagedRow {
  return {
    jobId: row.job_id as JobId,
    leaseToken: row.lease_token as number,
    backend: row.backend as string,
    key: row.key as string,
    staged: row.staged as StagedObject | null,
    createdAt: row.created_at as Date,
  };
}

/**
 * Staging of any job that is neither being written (processing with this token) nor named by a manifest, oldest first.
 * To be asked of the primary: a replica may not know yet of the attempt that is writing. `olderThanMs` leaves time for a
 * worker that lost its lease between the intent and the upload to notice and clean up itself. `backend`: null for all.
 */
export async function orphanStaging(
  sql: SqlRunner,
  limit: number,
  olderThanMs = 0,
  backend: string | null = null,
): Promise<StagedRow[]> {
  const rows = await sql.query(
    `SELECT ${STAGED_COLUMNS} FROM staging s WHERE ${STAGING_IS_ORPHAN} AND s.created_at <= now() - ${milliseconds("$2")}
       AND ($3::text IS NULL OR s.backend = $3)
     ORDER BY s.created_at, s.job_id, s.lease_token, s.backend, s.key LIMIT $1::integer`,
    [limit, olderThanMs, backend],
  );
  return rows.map(toStagedRow);
}

/**
 * What an attempt that lost its lease may delete: its own staging, and none of it if the manifest names its token, for
 * then a successor is publishing these very bytes.
 */
export async function ownStagingToDelete(sql: SqlRunner, lease: Lease): Promise<StagedRow[]> {
  const rows = await sql.query(
    `SELECT ${STAGED_COLUMNS} FROM staging s WHERE s.job_id = $1 AND s.lease_token = $2 AND ${STAGING_IS_ORPHAN}
     ORDER BY s.backend, s.key`,
    [lease.jobId, lease.leaseToken],
  );
  return rows.map(toStagedRow);
}

/** Forgets staging whose bytes are gone; only while it still is nobody's. False when there was nothing to forget. */
export async function deleteStagingRow(
  sql: SqlRunner,
  row: Pick<StagedRow, "jobId" | "leaseToken" | "backend" | "key">,
): Promise<boolean> {
  const rows = await sql.query(
    `DELETE FROM staging s WHERE s.job_id = $1 AND s.lease_token = $2::bigint AND s.backend = $3 AND s.key = $4
       AND ${STAGING_IS_ORPHAN} RETURNING s.key`,
    [row.jobId, row.leaseToken, row.backend, row.key],
  );
  return rows.length > 0;
}

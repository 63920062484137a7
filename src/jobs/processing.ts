/** Which attempts run anywhere, for whoever sweeps what attempts leave behind. */
import type { SqlRunner } from "../database/sql.ts";
import { IS_PROCESSING } from "./guards.ts";
import type { JobId, Lease } from "./types.ts";

export async function processingAttempts(sql: SqlRunner): Promise<Pick<Lease, "jobId" | "leaseToken">[]> {
  const rows = await sql.query<{ id: JobId; lease_token: number }>(
    `SELECT j.id, j.lease_token FROM jobs j WHERE ${IS_PROCESSING}`,
  );
  return rows.map(({ id, lease_token }) => ({ jobId: id, leaseToken: lease_token }));
}

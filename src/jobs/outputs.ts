/** Outputs of several jobs at once, for lists. */
import type { SqlRunner } from "../database/sql.ts";
import { type JobOutput, OUTPUT_COLUMNS, toOutput } from "./store.ts";
import type { JobId } from "./types.ts";

/** One statement whatever the number of jobs; a job without outputs has no entry. */
export async function listOutputsOf(sql: SqlRunner, jobIds: readonly JobId[]): Promise<Map<JobId, JobOutput[]>> {
  const byJob = new Map<JobId, JobOutput[]>();
  if (jobIds.length === 0) return byJob;
  const rows = await sql.query(
    `SELECT ${OUTPUT_COLUMNS} FROM job_outputs WHERE job_id = ANY ($1::uuid[]) ORDER BY job_id, ordinal`,
    [jobIds],
  );
  for (const output of rows.map(toOutput)) byJob.set(output.jobId, [...(byJob.get(output.jobId) ?? []), output]);
  return byJob;
}

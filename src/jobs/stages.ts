/** What an attempt records on its way to the fence: its stage, what it planned, and what it is about to upload. */
import { json, type SqlRunner } from "../database/sql.ts";
import type { ObjectRef, StagedObject } from "../storage/port.ts";
import { HELD, STAGE_GOES_FORWARD } from "./guards.ts";
import { appendEvent } from "./statements.ts";
import type { Lease, Stage } from "./types.ts";

export interface StageReport {
  readonly plan?: unknown;
  /** Replaces the warnings of the row. */
  readonly warnings?: readonly string[];
  /** 0–100 over the whole job. */
  readonly progress?: number;
  /** As `recordStaging` takes them: on record before the first byte leaves. */
  readonly staging?: readonly (ObjectRef | StagedObject)[];
}

const RECORD_STAGE = `
WITH held AS (SELECT j.id, j.stage FROM jobs j WHERE ${HELD} FOR UPDATE),
moved AS (
  UPDATE jobs j SET stage = $4::text, plan = coalesce($5::jsonb, j.plan), warnings = coalesce($6::jsonb, j.warnings),
    progress = coalesce($7::real, j.progress), updated_at = now(), log_seq = j.log_seq + 1
  FROM held h WHERE j.id = h.id AND ${STAGE_GOES_FORWARD}
  RETURNING j.id, j.log_seq, j.stage, j.lease_token, j.progress),
intended AS (
  INSERT INTO staging (job_id, lease_token, backend, key, staged)
  SELECT m.id, m.lease_token, item ->> 'backend', item ->> 'key', nullif(item -> 'staged', 'null'::jsonb)
  FROM moved m, jsonb_array_elements($8::jsonb) AS item
  ON CONFLICT (job_id, lease_token, backend, key) DO UPDATE SET staged = coalesce(excluded.staged, staging.staged)),
${appendEvent(
  "moved",
  "CASE WHEN $5::jsonb IS NULL THEN 'job.stage' ELSE 'job.planned' END",
  "jsonb_build_object('stage', u.stage, 'progress', u.progress)",
)}
SELECT id FROM held`;

const toItems = (objects: readonly (ObjectRef | StagedObject)[]) =>
  objects.map((object) => ({
    backend: object.backend,
    key: object.key,
    staged: "handle" in object ? object : null,
  }));

/**
 * Records the stage that an attempt has reached, with an event. False: the lease is lost. Stages go forward only: a
 * stage that was passed before (a write that was repeated and lands late) changes nothing. `publishing` is reached
 * through the fence alone.
 */
export async function recordStage(
  sql: SqlRunner,
  lease: Lease,
  stage: Exclude<Stage, "publishing">,
  report: StageReport = {},
): Promise<boolean> {
  const rows = await sql.query(RECORD_STAGE, [
    lease.jobId,
    lease.leaseToken,
    lease.workerId,
    stage,
    report.plan === undefined ? null : json(report.plan),
    report.warnings === undefined ? null : json(report.warnings),
    report.progress ?? null,
    json(toItems(report.staging ?? [])),
  ]);
  return rows.length > 0;
}

const RECORD_STAGING = `
WITH held AS (SELECT j.id FROM jobs j WHERE ${HELD} FOR UPDATE),
kept AS (
  INSERT INTO staging (job_id, lease_token, backend, key, staged)
  SELECT h.id, $2, item ->> 'backend', item ->> 'key', nullif(item -> 'staged', 'null'::jsonb)
  FROM held h, jsonb_array_elements($4::jsonb) AS item
  ON CONFLICT (job_id, lease_token, backend, key) DO UPDATE SET staged = coalesce(excluded.staged, staging.staged))
SELECT id FROM held`;

/**
 * Records staging: as an intent (backend and key) before the upload begins, and again with the store's handle once it is
 * known, so that anyone can clean it up. False: the lease is lost, and the upload must not begin.
 */
export async function recordStaging(
  sql: SqlRunner,
  lease: Lease,
  objects: readonly (ObjectRef | StagedObject)[],
): Promise<boolean> {
  const rows = await sql.query(RECORD_STAGING, [lease.jobId, lease.leaseToken, lease.workerId, json(toItems(objects))]);
  return rows.length > 0;
}

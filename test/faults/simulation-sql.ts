/** Rows in a database: the statements themselves. */
import * as writes from "../../src/jobs/attempt-writes.ts";
import { cancelJob } from "../../src/jobs/cancel.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { heartbeat, registerWorker } from "../../src/jobs/liveness.ts";
import { reapDeadWorkers } from "../../src/jobs/reap.ts";
import { claimOutputsForDeletion, finishOutputDeletion, interruptedDeletions } from "../../src/jobs/retention.ts";
import { deleteStagingRow, orphanStaging, ownStagingToDelete, type StagedRow } from "../../src/jobs/staging.ts";
import { insertJob } from "../../src/jobs/store.ts";
import type { JobId, Lease, PublishedOutput, PublishManifest, Stage, WorkerId } from "../../src/jobs/types.ts";
import type { ObjectRef, StagedBytes } from "../../src/storage/port.ts";
import type { TestDatabase } from "./protocol-harness.ts";
import {
  type JobSnapshot,
  MAX_ATTEMPTS,
  POISON_AFTER,
  type Rows,
  type StagingRow,
  TICKS_BEHIND,
} from "./simulation-rows.ts";

const HOUR_MS = 3_600_000;
const LIMIT = 1_000;

const FAILURE = { kind: "ffmpeg.failed", message: "It failed.", retryable: true, evidence: null, hint: null } as const;
const AT_ONCE = { baseMs: 0, capMs: 0, random: () => 0 };

/** The database is the world's alone: reaping and sweeping see every row. */
export class SqlRows implements Rows {
  constructor(private readonly database: TestDatabase) {}

  get #sql() {
    return this.database.sql;
  }

  async submit(jobId: string): Promise<void> {
    const id = jobId as JobId;
    const { keyId } = this.database;
    await insertJob(this.#sql, { id, keyId, type: "convert", priority: "normal", spec: {}, metadata: {} });
  }

  register(workerId: string): Promise<void> {
    return registerWorker(this.#sql, { workerId: workerId as WorkerId, role: "worker", version: "test", slots: 2 });
  }

  async claim(workerId: string) {
    const request = { workerId: workerId as WorkerId, jobTypes: null, priorities: null };
    const claim = await claimJob(this.#sql, request);
    return claim === null ? null : { lease: claim.lease, manifest: claim.job.manifest };
  }

  async heartbeat(workerId: string) {
    return (await heartbeat(this.#sql, { workerId: workerId as WorkerId })).held;
  }

  async tick(): Promise<void> {
    await this.#sql.query("UPDATE liveness SET tick = tick + 1");
  }

  async reap() {
    const reaped = await reapDeadWorkers(this.#sql, {
      ticksBehind: TICKS_BEHIND,
      poisonAfter: POISON_AFTER,
      limit: LIMIT,
    });
    return reaped.map((job) => job.jobId);
  }

  stage(lease: Lease, stage: Exclude<Stage, "publishing">) {
    return writes.recordStage(this.#sql, lease, stage);
  }

  staging(lease: Lease, objects: readonly (ObjectRef | StagedBytes)[]) {
    return writes.recordStaging(this.#sql, lease, objects);
  }

  async fence(lease: Lease, manifest: PublishManifest, overdue: boolean) {
    const answer = await writes.fence(this.#sql, lease, manifest, overdue ? 0 : HOUR_MS);
    return typeof answer === "string" ? answer : "wait";
  }

  readFence(lease: Lease) {
    return writes.readFence(this.#sql, lease);
  }

  complete(lease: Lease, outputs: readonly PublishedOutput[]) {
    return writes.completeJob(this.#sql, lease, { outputs });
  }

  fail(lease: Lease, retry: boolean) {
    const failure = { ...FAILURE, retry: retry ? ("backoff" as const) : ("never" as const) };
    return writes.failJob(this.#sql, lease, failure, { maxAttempts: MAX_ATTEMPTS, policy: AT_ONCE });
  }

  publishOverdue(lease: Lease) {
    return writes.publishOverdue(this.#sql, lease);
  }

  failPublishing(lease: Lease) {
    return writes.failPublishing(this.#sql, lease, { ...FAILURE, kind: "job.publish_timeout" });
  }

  confirmCancelled(lease: Lease) {
    return writes.confirmCancelled(this.#sql, lease);
  }

  snooze(lease: Lease) {
    return writes.snooze(this.#sql, lease);
  }

  giveBack(lease: Lease) {
    return writes.giveBack(this.#sql, lease);
  }

  async cancel(jobId: string) {
    const { outcome } = await cancelJob(this.#sql, { jobId, keyId: null });
    if (outcome === "not_found") throw new Error(`There is no job ${jobId}.`);
    return outcome;
  }

  orphans() {
    return orphanStaging(this.#sql, LIMIT);
  }

  ownStaging(lease: Lease) {
    return ownStagingToDelete(this.#sql, lease);
  }

  forget(row: StagingRow) {
    const { jobId, leaseToken, key } = row;
    return deleteStagingRow(this.#sql, { jobId, leaseToken, key, backend: "local" } as StagedRow);
  }

  async claimDeletion(jobId: string, takeOver: boolean) {
    const takeoverMs = takeOver ? 0 : HOUR_MS;
    return (await claimOutputsForDeletion(this.#sql, { jobId: jobId as JobId, takeoverMs })).claimed;
  }

  async finishDeletion(jobId: string, ordinals: readonly number[]): Promise<void> {
    const outcomes = ordinals.map((ordinal) => ({ ordinal, gone: true }));
    await finishOutputDeletion(this.#sql, { jobId: jobId as JobId, outcomes });
  }

  interruptedDeletions() {
    return interruptedDeletions(this.#sql, { olderThanMs: 0, limit: LIMIT });
  }

  async passTime(): Promise<void> {}

  async expirePublishing(): Promise<void> {
    await this.#sql.query("UPDATE jobs SET publish_deadline_at = now() WHERE manifest IS NOT NULL");
  }

  async mayPublish(staged: StagedBytes): Promise<boolean> {
    const [row] = await this.#sql.query<{ may: boolean }>(
      `SELECT (j.manifest ->> 'leaseToken')::bigint = $2::bigint
         AND EXISTS (SELECT FROM output_claims c WHERE c.key = $3 AND c.job_id = j.id) AS may
       FROM jobs j WHERE j.id = $1`,
      [staged.jobId, staged.leaseToken, staged.key],
    );
    return row?.may === true;
  }

  async snapshot(): Promise<readonly JobSnapshot[]> {
    return this.#sql.query<JobSnapshot>(
      `SELECT j.id, j.status, j.error ->> 'kind' AS "errorKind", (j.manifest ->> 'leaseToken')::bigint AS "manifestToken",
         j.attempt AS attempts, (SELECT jsonb_agg(jsonb_build_object('seq', l.seq, 'type', l.type) ORDER BY l.seq)
           FROM job_logs l WHERE l.job_id = j.id) AS events
       FROM jobs j ORDER BY j.id`,
    );
  }

  async leftovers(): Promise<number> {
    const [row] = await this.#sql.query<{ n: number }>(
      "SELECT ((SELECT count(*) FROM staging) + (SELECT count(*) FROM output_claims))::integer AS n",
    );
    return row?.n ?? 0;
  }

  /** An empty world for the next seed. */
  async clear(): Promise<void> {
    for (const table of ["jobs", "staging", "output_claims", "workers"]) await this.#sql.query(`DELETE FROM ${table}`);
  }
}

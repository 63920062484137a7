/** Rows in memory, on the transition table: what decides is `src/jobs/transitions.ts`, here are only the containers. */
import { type Command, isFinal, type RowState, type Transition, transition } from "../../src/jobs/transitions.ts";
import type { Lease, PublishedOutput, PublishManifest, Stage } from "../../src/jobs/types.ts";
import type { ObjectRef, StagedBytes } from "../../src/storage/port.ts";
import {
  type ClaimedJob,
  type DeletableOutput,
  type HeldLease,
  type JobSnapshot,
  MAX_ATTEMPTS,
  POISON_AFTER,
  type Rows,
  type StagingRow,
  TICKS_BEHIND,
} from "./simulation-rows.ts";

/** Rules that can be taken out of the rows. */
export type RowRule = "lease" | "output claims" | "cancel before manifest" | "reap with manifest" | "sweep" | "look";

interface MemoryJob {
  readonly id: string;
  row: RowState;
  manifest: PublishManifest | null;
  errorKind: string | null;
  events: { seq: number; type: string }[];
  outputs: (DeletableOutput & { deleted: boolean })[];
}

export class MemoryRows implements Rows {
  readonly #off: ReadonlySet<RowRule>;
  readonly #jobs = new Map<string, MemoryJob>();
  readonly #seenTick = new Map<string, number>();
  readonly #claims = new Map<string, string>();
  readonly #staging = new Map<string, StagingRow>();
  #tick = 0;

  constructor(off: readonly RowRule[] = []) {
    this.#off = new Set(off);
  }

  submit(jobId: string): void {
    const row: RowState = {
      status: "queued",
      stage: null,
      manifestToken: null,
      cancelRequested: false,
      leaseToken: 0,
      workerId: null,
      attempt: 0,
      failureCount: 0,
      crashCount: 0,
      due: true,
      publishOverdue: false,
    };
    const events = [{ seq: 1, type: "job.queued" }];
    this.#jobs.set(jobId, { id: jobId, row, manifest: null, errorKind: null, events, outputs: [] });
  }

  register(workerId: string): void {
    this.#seenTick.set(workerId, this.#tick);
  }

  #job(jobId: string): MemoryJob {
    const job = this.#jobs.get(jobId);
    if (job === undefined) throw new Error(`There is no job ${jobId}.`);
    return job;
  }

  #apply(job: MemoryJob, command: Command): Transition {
    const done = transition(this.#seenBy(job.row, command), this.#asSent(job.row, command));
    if (done.event === null) return done;
    job.row = done.row;
    if (done.row.manifestToken === null) job.manifest = null;
    job.events.push({ seq: job.events.length + 1, type: done.event });
    return done;
  }

  /** Without the write guard, whoever writes is taken for the holder. */
  #asSent(row: RowState, command: Command): Command {
    if (!("lease" in command) || !this.#off.has("lease") || row.workerId === null) return command;
    return { ...command, lease: { leaseToken: row.leaseToken, workerId: row.workerId } };
  }

  #seenBy(row: RowState, command: Command): RowState {
    const blind =
      (command.type === "cancel" && this.#off.has("cancel before manifest")) ||
      (command.type === "reap" && this.#off.has("reap with manifest"));
    return blind ? { ...row, manifestToken: null, publishOverdue: false } : row;
  }

  #fenced(lease: Lease, command: Command): Transition {
    return this.#apply(this.#job(lease.jobId), command);
  }

  claim(workerId: string): ClaimedJob | null {
    for (const job of this.#jobs.values()) {
      if (this.#apply(job, { type: "claim", workerId }).outcome !== "claimed") continue;
      const lease = { jobId: job.id, leaseToken: job.row.leaseToken, workerId } as Lease;
      return { lease, manifest: job.manifest };
    }
    return null;
  }

  heartbeat(workerId: string): HeldLease[] {
    this.#seenTick.set(workerId, this.#tick);
    return [...this.#jobs.values()]
      .filter((job) => job.row.workerId === workerId)
      .map((job) => ({
        jobId: job.id as Lease["jobId"],
        leaseToken: job.row.leaseToken,
        cancelRequested: job.row.cancelRequested,
      }));
  }

  tick(): void {
    this.#tick += 1;
  }

  reap(): string[] {
    const reaped: string[] = [];
    for (const job of this.#jobs.values()) {
      const { workerId } = job.row;
      const seen = workerId === null ? this.#tick : (this.#seenTick.get(workerId) ?? -Infinity);
      const workerIsDead = this.#tick - seen >= TICKS_BEHIND;
      const { outcome } = this.#apply(job, { type: "reap", workerIsDead, poisonAfter: POISON_AFTER });
      if (outcome === "none") continue;
      if (outcome === "poisoned") job.errorKind = "job.poisoned";
      reaped.push(job.id);
    }
    return reaped;
  }

  stage(lease: Lease, stage: Exclude<Stage, "publishing">): boolean {
    return this.#fenced(lease, { type: "stage", lease, stage }).outcome === "held";
  }

  staging(lease: Lease, objects: readonly (ObjectRef | StagedBytes)[]): boolean {
    const { row } = this.#job(lease.jobId);
    const sent = this.#asSent(row, { type: "snooze", lease });
    if (transition(row, sent).outcome === "lost") return false;
    for (const object of objects) {
      const { jobId, leaseToken } = lease;
      const key = object.key;
      const staged = "handle" in object ? { handle: object.handle } : null;
      const name = `${jobId}/${leaseToken}/${key}`;
      this.#staging.set(name, { jobId, leaseToken, key, staged: staged ?? this.#staging.get(name)?.staged ?? null });
    }
    return true;
  }

  fence(lease: Lease, manifest: PublishManifest, overdue: boolean): "fenced" | "lost" | "cancel_requested" | "wait" {
    const job = this.#job(lease.jobId);
    const keys = manifest.steps.map((step) => step.staged.key);
    const claiming = !this.#off.has("output claims");
    const keyIsBusy = claiming && keys.some((key) => (this.#claims.get(key) ?? job.id) !== job.id);
    const done = this.#apply(job, { type: "fence", lease, keyIsBusy });
    if (done.event !== null) {
      job.manifest = manifest;
      job.row = { ...job.row, publishOverdue: overdue };
      if (claiming) for (const key of keys) this.#claims.set(key, job.id);
    }
    if (done.outcome === "foreign") throw new Error("The fence was asked for although there is a manifest.");
    return done.outcome as "fenced" | "lost" | "cancel_requested" | "wait";
  }

  readFence(lease: Lease): "fenced" | "not_fenced" | "cancel_requested" | "lost" {
    const { row } = this.#job(lease.jobId);
    if (transition(row, this.#asSent(row, { type: "snooze", lease })).outcome === "lost") return "lost";
    if (row.manifestToken === lease.leaseToken) return "fenced";
    return row.cancelRequested ? "cancel_requested" : "not_fenced";
  }

  complete(lease: Lease, outputs: readonly PublishedOutput[]): boolean {
    const job = this.#job(lease.jobId);
    const { manifest } = job;
    const steps = manifest?.steps ?? [];
    const identityOf = (ordinal: number) => outputs.find((output) => output.ordinal === ordinal)?.identity;
    const allSeen = this.#off.has("look") || steps.every((step) => identityOf(step.ordinal) !== undefined);
    const done = this.#apply(job, { type: "complete", lease, allSeen });
    if (done.outcome === "unseen") throw new Error("An output was not looked at.");
    if (done.event !== null) {
      job.outputs = steps.map((step) => ({
        ordinal: step.ordinal,
        key: step.staged.key,
        identity: identityOf(step.ordinal) ?? "unseen",
        deleted: false,
      }));
      this.#free(job.id);
      for (const [name, row] of this.#staging) {
        if (row.jobId === job.id && row.leaseToken === manifest?.leaseToken) this.#staging.delete(name);
      }
    }
    return done.outcome === "completed";
  }

  #free(jobId: string): void {
    for (const [key, holder] of this.#claims) if (holder === jobId) this.#claims.delete(key);
  }

  fail(lease: Lease, retry: boolean): "failed" | "retrying" | "cancelled" | "lost" {
    const done = this.#fenced(lease, { type: "fail", lease, retry, maxAttempts: MAX_ATTEMPTS });
    if (done.outcome === "failed") this.#job(lease.jobId).errorKind = "ffmpeg.failed";
    return done.outcome as "failed" | "retrying" | "cancelled" | "lost";
  }

  publishOverdue(lease: Lease): boolean {
    const { row } = this.#job(lease.jobId);
    return row.publishOverdue && this.readFence(lease) !== "lost";
  }

  failPublishing(lease: Lease): "failed" | "lost" | "not_due" {
    const done = this.#fenced(lease, { type: "fail_publishing", lease });
    if (done.event !== null) {
      this.#job(lease.jobId).errorKind = "job.publish_timeout";
      this.#free(lease.jobId);
    }
    return done.outcome as "failed" | "lost" | "not_due";
  }

  confirmCancelled(lease: Lease): boolean {
    return this.#fenced(lease, { type: "confirm_cancelled", lease }).outcome === "cancelled";
  }

  snooze(lease: Lease): boolean {
    return this.#fenced(lease, { type: "snooze", lease }).outcome === "held";
  }

  giveBack(lease: Lease): boolean {
    return this.#fenced(lease, { type: "give_back", lease }).outcome === "held";
  }

  cancel(jobId: string): "cancelled" | "requested" | "conflict" {
    const job = this.#job(jobId);
    const done = this.#apply(job, { type: "cancel" });
    if (done.outcome === "cancelled") this.#free(jobId);
    return done.outcome as "cancelled" | "requested" | "conflict";
  }

  #isOrphan(staged: StagingRow): boolean {
    const row = this.#jobs.get(staged.jobId)?.row;
    if (row === undefined) return true;
    if (row.status === "processing" && row.leaseToken === staged.leaseToken) return false;
    return this.#off.has("sweep") || row.manifestToken !== staged.leaseToken;
  }

  orphans(): StagingRow[] {
    return [...this.#staging.values()].filter((row) => this.#isOrphan(row));
  }

  ownStaging(lease: Lease): StagingRow[] {
    return this.orphans().filter((row) => row.jobId === lease.jobId && row.leaseToken === lease.leaseToken);
  }

  forget(row: StagingRow): boolean {
    return this.#isOrphan(row) && this.#staging.delete(`${row.jobId}/${row.leaseToken}/${row.key}`);
  }

  claimDeletion(jobId: string, takeOver: boolean): DeletableOutput[] {
    const job = this.#job(jobId);
    if (!isFinal(job.row.status)) return [];
    return job.outputs.filter((output) => {
      const holder = this.#claims.get(output.key);
      const free = holder === undefined || (takeOver && holder === jobId);
      if (output.deleted || !free) return false;
      this.#claims.set(output.key, jobId);
      return true;
    });
  }

  finishDeletion(jobId: string, ordinals: readonly number[]): void {
    const job = this.#job(jobId);
    const gone = job.outputs.filter((output) => ordinals.includes(output.ordinal));
    for (const output of gone) if (this.#claims.get(output.key) === jobId) this.#claims.delete(output.key);
    if (gone.every((output) => output.deleted)) return;
    for (const output of gone) output.deleted = true;
    job.events.push({ seq: job.events.length + 1, type: "job.outputs_deleted" });
  }

  interruptedDeletions(): string[] {
    return [...new Set(this.#claims.values())].filter((jobId) => isFinal(this.#job(jobId).row.status));
  }

  passTime(): void {
    for (const job of this.#jobs.values()) job.row = { ...job.row, due: true };
  }

  expirePublishing(): void {
    for (const job of this.#jobs.values()) {
      if (job.row.manifestToken !== null) job.row = { ...job.row, publishOverdue: true };
    }
  }

  mayPublish(staged: StagedBytes): boolean {
    const { row } = this.#job(staged.jobId);
    const claimed = this.#off.has("output claims") || this.#claims.get(staged.key) === staged.jobId;
    return row.manifestToken === staged.leaseToken && claimed;
  }

  snapshot(): JobSnapshot[] {
    return [...this.#jobs.values()].map(({ id, row, errorKind, events }) => ({
      id,
      status: row.status,
      errorKind,
      manifestToken: row.manifestToken,
      attempts: row.attempt,
      events,
    }));
  }

  leftovers(): number {
    return this.#staging.size + this.#claims.size;
  }
}

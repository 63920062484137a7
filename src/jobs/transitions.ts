/**
 * The transition table of a job, pure: what each command does to a row, under which guards.
 *
 * ```
 *            claim                    fence                  complete
 *   queued ─────────▶ processing ───────────▶ (publishing) ─────────▶ completed
 *     ▲ │ cancel        │ │ │                    │ │
 *     │ └────────┐      │ │ └ fail ──▶ failed ◀──┘ └ fail, reap, snooze ─▶ queued, with its manifest
 *     │          ▼      │ │      (fail_publishing, when overdue)
 *     │      cancelled ◀┘ │ confirm_cancelled, reap after a request
 *     └───────────────────┘ fail with tries left, snooze, give back, reap
 * ```
 *
 * The statements in this folder are what runs; a test builds every valid row, sends every command to both, and compares.
 * The simulation runs on this table, so that what it proves holds for the statements.
 */
import type { AttemptOutcome } from "./store.ts";
import { type EventType, type JobStatus, STAGES, type Stage } from "./types.ts";

/** What of a row decides. */
export interface RowState {
  readonly status: JobStatus;
  readonly stage: Stage | null;
  /** The token that the manifest names; null without a manifest. */
  readonly manifestToken: number | null;
  readonly cancelRequested: boolean;
  readonly leaseToken: number;
  readonly workerId: string | null;
  readonly attempt: number;
  readonly failureCount: number;
  readonly crashCount: number;
  /** Its `run_at` has come. */
  readonly due: boolean;
  /** It is in publishing and its deadline has passed. */
  readonly publishOverdue: boolean;
}

export interface LeaseState {
  readonly leaseToken: number;
  readonly workerId: string;
}

export type Command =
  | { readonly type: "claim"; readonly workerId: string }
  | { readonly type: "stage"; readonly lease: LeaseState; readonly stage: Exclude<Stage, "publishing"> }
  | { readonly type: "fence"; readonly lease: LeaseState; readonly keyIsBusy: boolean }
  | { readonly type: "complete"; readonly lease: LeaseState; readonly allSeen: boolean }
  | { readonly type: "fail"; readonly lease: LeaseState; readonly retry: boolean; readonly maxAttempts: number }
  | { readonly type: "fail_publishing"; readonly lease: LeaseState }
  | { readonly type: "confirm_cancelled"; readonly lease: LeaseState }
  | { readonly type: "snooze"; readonly lease: LeaseState }
  | { readonly type: "give_back"; readonly lease: LeaseState }
  | { readonly type: "cancel" }
  | { readonly type: "reap"; readonly workerIsDead: boolean; readonly poisonAfter: number };

export interface Transition {
  /** The answer, in the words of the function that runs the statement. */
  readonly outcome: string;
  readonly row: RowState;
  /** Null: nothing changed, and nothing was written. */
  readonly event: EventType | null;
  /** How the attempt that ran ended; null when none did. */
  readonly ended: AttemptOutcome | null;
}

export function isFinal(status: JobStatus): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** Rows that the guards keep from ever existing are not valid. */
export function isValid(row: RowState): boolean {
  const processing = row.status === "processing";
  if (processing !== (row.workerId !== null)) return false;
  if (processing !== (row.stage !== null)) return false;
  // A cancel that was requested ends the job before it can be queued again, and the fence refuses it.
  if (row.cancelRequested && (row.status === "queued" || row.manifestToken !== null)) return false;
  if (row.manifestToken !== null && isFinal(row.status)) return false;
  if (processing && (row.manifestToken !== null) !== (row.stage === "publishing")) return false;
  if (row.publishOverdue && row.manifestToken === null) return false;
  return true;
}

function unchanged(row: RowState, outcome: string): Transition {
  return { outcome, row, event: null, ended: null };
}

function holds(row: RowState, lease: LeaseState): boolean {
  return row.leaseToken === lease.leaseToken && row.workerId === lease.workerId && row.status === "processing";
}

/** The row without its worker; every change that ends an attempt starts from it. */
function released(row: RowState, status: JobStatus): RowState {
  return { ...row, status, stage: null, workerId: null };
}

/** What `command` does to `row`. Total: whatever does not apply leaves the row unchanged and says so. */
export function transition(row: RowState, command: Command): Transition {
  switch (command.type) {
    case "claim":
      return claim(row, command.workerId);
    case "cancel":
      return cancel(row);
    case "reap":
      return reap(row, command);
    default:
      return holds(row, command.lease) ? byHolder(row, command) : unchanged(row, byFormerHolder(row, command));
  }
}

type HolderCommand = Exclude<Command, { type: "claim" | "cancel" | "reap" }>;

/** Repeating the last word after a lost reply gets the same answer; everything else has lost its lease. */
function byFormerHolder(row: RowState, command: HolderCommand): string {
  const sameToken = row.leaseToken === command.lease.leaseToken;
  if (command.type === "complete" && row.status === "completed" && sameToken) return "completed";
  if (command.type === "confirm_cancelled" && row.status === "cancelled" && sameToken) return "cancelled";
  return "lost";
}

function byHolder(row: RowState, command: HolderCommand): Transition {
  const publishing = row.manifestToken !== null;
  switch (command.type) {
    case "stage": {
      const goesForward = STAGES.indexOf(row.stage ?? "downloading") <= STAGES.indexOf(command.stage);
      if (!goesForward) return unchanged(row, "held");
      return { outcome: "held", row: { ...row, stage: command.stage }, event: "job.stage", ended: null };
    }
    case "fence":
      return passFence(row, command.keyIsBusy);
    case "complete": {
      if (!publishing) return unchanged(row, "lost");
      if (!command.allSeen) return unchanged(row, "unseen");
      const next = { ...released(row, "completed"), manifestToken: null, publishOverdue: false };
      return { outcome: "completed", row: next, event: "job.completed", ended: "completed" };
    }
    case "fail":
      return fail(row, command.retry, command.maxAttempts);
    case "fail_publishing": {
      if (!publishing) return unchanged(row, "lost");
      if (!row.publishOverdue) return unchanged(row, "not_due");
      const next = { ...released(row, "failed"), manifestToken: null, publishOverdue: false };
      return { outcome: "failed", row: next, event: "job.failed", ended: "failed" };
    }
    case "confirm_cancelled":
      if (publishing || !row.cancelRequested) return unchanged(row, "lost");
      return { outcome: "cancelled", row: released(row, "cancelled"), event: "job.cancelled", ended: "cancelled" };
    case "snooze":
    case "give_back": {
      if (row.cancelRequested) {
        return { outcome: "held", row: released(row, "cancelled"), event: "job.cancelled", ended: "cancelled" };
      }
      const ended = command.type === "snooze" ? "snoozed" : "returned";
      return { outcome: "held", row: released(row, "queued"), event: "job.snoozed", ended };
    }
  }
}

function claim(row: RowState, workerId: string): Transition {
  if (row.status !== "queued" || !row.due || row.cancelRequested) return unchanged(row, "none");
  const next: RowState = {
    ...row,
    status: "processing",
    stage: row.manifestToken === null ? "downloading" : "publishing",
    workerId,
    leaseToken: row.leaseToken + 1,
    attempt: row.attempt + 1,
  };
  return { outcome: "claimed", row: next, event: "job.started", ended: null };
}

function passFence(row: RowState, keyIsBusy: boolean): Transition {
  if (row.manifestToken !== null) {
    return unchanged(row, row.manifestToken === row.leaseToken ? "fenced" : "foreign");
  }
  if (row.cancelRequested) return unchanged(row, "cancel_requested");
  if (keyIsBusy) return unchanged(row, "wait");
  const next: RowState = { ...row, stage: "publishing", manifestToken: row.leaseToken };
  return { outcome: "fenced", row: next, event: "job.stage", ended: null };
}

function fail(row: RowState, retry: boolean, maxAttempts: number): Transition {
  const counted = { ...row, failureCount: row.failureCount + 1 };
  // A failure in publishing waits and is rolled forward, however often.
  if (row.manifestToken !== null) {
    const next = { ...released(counted, "queued"), due: false };
    return { outcome: "retrying", row: next, event: "job.retrying", ended: "retried" };
  }
  if (row.cancelRequested) {
    return { outcome: "cancelled", row: released(counted, "cancelled"), event: "job.cancelled", ended: "cancelled" };
  }
  if (retry && counted.failureCount < maxAttempts) {
    const next = { ...released(counted, "queued"), due: false };
    return { outcome: "retrying", row: next, event: "job.retrying", ended: "retried" };
  }
  return { outcome: "failed", row: released(counted, "failed"), event: "job.failed", ended: "failed" };
}

function cancel(row: RowState): Transition {
  if (isFinal(row.status) || row.manifestToken !== null) return unchanged(row, "conflict");
  if (row.status === "queued") {
    const next: RowState = { ...row, status: "cancelled", cancelRequested: true };
    return { outcome: "cancelled", row: next, event: "job.cancelled", ended: null };
  }
  if (row.cancelRequested) return unchanged(row, "requested");
  return { outcome: "requested", row: { ...row, cancelRequested: true }, event: "job.cancel_requested", ended: null };
}

function reap(row: RowState, { workerIsDead, poisonAfter }: Command & { type: "reap" }): Transition {
  if (row.status !== "processing" || !workerIsDead) return unchanged(row, "none");
  const available = { ...released(row, "queued"), due: true };
  if (row.manifestToken !== null) {
    return { outcome: "republish", row: available, event: "job.reaped", ended: "crashed" };
  }
  if (row.cancelRequested) {
    const next = { ...available, status: "cancelled" as const };
    return { outcome: "cancelled", row: next, event: "job.cancelled", ended: "crashed" };
  }
  const crashed = { ...available, crashCount: row.crashCount + 1 };
  if (crashed.crashCount >= poisonAfter) {
    const next = { ...crashed, status: "failed" as const };
    return { outcome: "poisoned", row: next, event: "job.failed", ended: "crashed" };
  }
  return { outcome: "queued", row: crashed, event: "job.reaped", ended: "crashed" };
}

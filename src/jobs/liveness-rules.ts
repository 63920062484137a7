/** What a worker concludes from the ticks it hears and from what its heartbeat answers; pure. */
import type { HeldJob } from "./liveness.ts";

/**
 * True when a worker must kill what it runs: it heard `ticksBehind` − 1 ticks beyond its last accepted heartbeat, so the
 * next one makes its jobs free for others. A worker that hears nothing at all concludes nothing: the fence makes it
 * harmless.
 */
export function isCutOff(heardTick: number, acceptedTick: number, ticksBehind: number): boolean {
  return heardTick - acceptedTick >= ticksBehind - 1;
}

/** A lease as a heartbeat names it. */
export type HeldLease = Pick<HeldJob, "jobId" | "leaseToken">;

export interface Reconciliation {
  /** Held by the row and not run here: a claim whose reply was lost. To be given back, fenced. */
  readonly giveBack: readonly HeldLease[];
  /** Run here and no longer held: to be killed. */
  readonly kill: readonly HeldLease[];
}

/**
 * Compares what the rows say with what runs. `claiming`: a claim is under way and its reply may still come, so nothing
 * is given back yet. `running` has to be what ran when the heartbeat was sent; what started since is in no answer.
 */
export function reconcileHeld(
  held: readonly HeldLease[],
  running: readonly HeldLease[],
  claiming: boolean,
): Reconciliation {
  const same = (a: HeldLease) => (b: HeldLease) => a.jobId === b.jobId && a.leaseToken === b.leaseToken;
  return {
    giveBack: claiming ? [] : held.filter((lease) => !running.some(same(lease))),
    kill: running.filter((lease) => !held.some(same(lease))),
  };
}

/**
 * What this worker runs and is claiming right now, as its dispatcher and its heartbeat both need to know it. Written by
 * the worker's actors only, all in one process, so plain fields do.
 */
import type { JobId, Lease } from "../../src/jobs/types.ts";

export interface Ledger {
  readonly running: Map<JobId, Lease>;
  /** Claims that are neither known to run nor given back yet. */
  claiming: number;
  /** Resolves when the last dispatcher has stopped and no claim of its is under way. */
  dispatched: Promise<void>;
}

export const makeLedger = (): Ledger => ({ running: new Map(), claiming: 0, dispatched: Promise.resolve() });

/** Whether this very lease is among those that run. */
export function runs(ledger: Ledger, { jobId, leaseToken }: Pick<Lease, "jobId" | "leaseToken">): boolean {
  return ledger.running.get(jobId)?.leaseToken === leaseToken;
}

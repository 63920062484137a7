/**
 * What this worker runs and is claiming right now, as its dispatcher and its heartbeat both need to know it. Written by
 * the worker's actors only, all in one process, so plain fields do.
 */
import type { JobId, Lease } from "../../src/jobs/types.ts";

export interface Ledger {
  readonly running: Map<JobId, Lease>;
  /** Claims whose answer has not come yet. */
  claiming: number;
}

export const makeLedger = (): Ledger => ({ running: new Map(), claiming: 0 });

/** Whether this very lease is among those that run. */
export function runs(ledger: Ledger, { jobId, leaseToken }: Pick<Lease, "jobId" | "leaseToken">): boolean {
  return ledger.running.get(jobId)?.leaseToken === leaseToken;
}

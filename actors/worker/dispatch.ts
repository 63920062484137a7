/**
 * Fills free slots: takes a hint, claims that job in SQL, hands the claim to the worker. The hint decides nothing; when
 * hints are lost, or there is no queue to give any, the worker polls the rows, which have the same order.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Coordination, names, type ReadyHint } from "../../src/coordination/ports.ts";
import type { Sql } from "../../src/database/sql.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { giveBack } from "../../src/jobs/finish.ts";
import type { Claim, JobId, JobType, Priority } from "../../src/jobs/types.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import type { ServiceInput } from "./worker.machine.ts";

export interface DispatchPorts {
  readonly sql: Sql;
  readonly coordination: Coordination;
  readonly logger: Logger;
  readonly jobTypes: readonly JobType[];
  readonly priorities: readonly Priority[];
  readonly leaseTtlMs: number;
  /** Between looks at the rows when no hint comes; default 5 s. */
  readonly pollIntervalMs?: number;
}

const POLL_INTERVAL_MS = 5_000;
/** How long a hint is waited for where the rows are about to be looked at anyway. */
const LOOK_MS = 10;
const ERROR_DELAY_MS = 1_000;

export function startDispatch(
  ports: DispatchPorts,
  { workerId, slots, ledger }: ServiceInput,
  onClaim: (claim: Claim) => void,
): { slotFreed(): void; stop(): void } {
  const { sql, coordination, logger } = ports;
  const stopping = new AbortController();
  const { signal } = stopping;
  let free = slots;
  /** Ends the wait for a slot or for a hint. */
  let wake = (): void => {};
  /**
   * The rows may hold a job that no hint names: after the start, after a job ended (its key may have room again, and
   * the hints that were passed over are gone), and as long as looking finds something.
   */
  let worthALook = true;

  async function slot(): Promise<void> {
    while (free === 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  /** Null when none came in time. Neither timer nor listener outlives the wait, however many waits there are. */
  async function nextHint(): Promise<ReadyHint | null> {
    const patience = new AbortController();
    wake = () => patience.abort();
    const timer = setTimeout(wake, worthALook ? LOOK_MS : (ports.pollIntervalMs ?? POLL_INTERVAL_MS));
    try {
      return await coordination.readyQueue.take(ports.priorities, patience.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  async function claim(hint: ReadyHint | null): Promise<Claim | null> {
    const request = { workerId, jobTypes: ports.jobTypes, priorities: ports.priorities };
    if (hint === null) return claimJob(sql, request);
    const lock = names.jobLock(hint.jobId);
    // So that replicas do not race for one hint; it never decides.
    if (!(await coordination.locks.acquire(lock, workerId, ports.leaseTtlMs))) return null;
    let claimed: Claim | null = null;
    try {
      claimed = await claimJob(sql, { ...request, jobId: hint.jobId as JobId });
      return claimed;
    } finally {
      if (claimed === null) await coordination.locks.release(lock, workerId).catch(() => {});
    }
  }

  async function fill(hint: ReadyHint | null): Promise<void> {
    ledger.claiming += 1;
    // Before the look: a slot that is freed during it makes the next one worth while.
    if (hint === null) worthALook = false;
    try {
      const claimed = await claim(hint);
      if (hint === null && claimed !== null) worthALook = true;
      if (claimed === null) return;
      if (signal.aborted) {
        await giveBack(sql, claimed.lease);
        return;
      }
      free -= 1;
      onClaim(claimed);
    } finally {
      // Only now: a heartbeat in between would take the job for one whose claim was lost.
      ledger.claiming -= 1;
    }
  }

  async function round(): Promise<void> {
    await slot();
    if (signal.aborted) return;
    const hint = await nextHint();
    if (!signal.aborted) await fill(hint);
    else if (hint !== null) await coordination.readyQueue.add([hint]);
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        await round();
      } catch (error) {
        logger.warn({ err: error }, "claiming failed; trying again");
        // What was hinted may wait in the rows now.
        worthALook = true;
        await delay(ERROR_DELAY_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  ledger.dispatched = run();
  return {
    slotFreed() {
      free += 1;
      worthALook = true;
      wake();
    },
    stop() {
      stopping.abort();
      wake();
    },
  };
}

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
}

/** Between looks at the rows when no hint comes. */
const POLL_INTERVAL_MS = 5_000;
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
  let wake: (() => void) | null = null;

  const slotFreed = (): void => {
    free += 1;
    wake?.();
  };

  async function slot(): Promise<void> {
    while (free === 0 && !signal.aborted) {
      await new Promise<void>((resolve) => {
        wake = resolve;
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    }
  }

  async function nextHint(): Promise<ReadyHint | null> {
    const patience = AbortSignal.any([signal, AbortSignal.timeout(POLL_INTERVAL_MS)]);
    return coordination.readyQueue.take(ports.priorities, patience);
  }

  async function claim(hint: ReadyHint | null): Promise<Claim | null> {
    ledger.claiming += 1;
    try {
      const which = hint === null ? {} : { jobId: hint.jobId as JobId };
      return await claimJob(sql, { workerId, jobTypes: ports.jobTypes, priorities: ports.priorities, ...which });
    } finally {
      ledger.claiming -= 1;
    }
  }

  async function round(): Promise<void> {
    await slot();
    if (signal.aborted) return;
    const hint = await nextHint();
    if (signal.aborted) {
      if (hint !== null) await coordination.readyQueue.add([hint]);
      return;
    }
    // So that replicas do not race for one hint; it never decides.
    if (hint !== null && !(await coordination.locks.acquire(names.jobLock(hint.jobId), workerId, ports.leaseTtlMs)))
      return;
    const claimed = await claim(hint);
    if (claimed === null) return;
    if (signal.aborted) {
      await giveBack(sql, claimed.lease);
      return;
    }
    free -= 1;
    onClaim(claimed);
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      try {
        await round();
      } catch (error) {
        if (signal.aborted) return;
        logger.warn({ err: error }, "claiming failed; trying again");
        await delay(ERROR_DELAY_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  void run();
  return { slotFreed, stop: () => stopping.abort() };
}

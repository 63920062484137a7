/**
 * Fills free slots: takes a hint, claims that job in SQL, hands the claim to the worker. The hint decides nothing; when
 * hints are lost, or there is no queue to give any, the worker polls the rows, which have the same order.
 */
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { type Coordination, channels, names, type ReadyHint } from "../../src/coordination/ports.ts";
import type { Sql } from "../../src/database/sql.ts";
import { claimJob } from "../../src/jobs/claim.ts";
import { ClaimMemory } from "../../src/jobs/claim-memory.ts";
import type { ConvertSpec } from "../../src/jobs/convert.schema.ts";
import { giveBack, passOn } from "../../src/jobs/finish.ts";
import { type Kind, kindOf, unfitKinds } from "../../src/jobs/kinds.ts";
import { type Claim, JOB_TYPES, type JobId, type JobType, PRIORITIES, type Priority } from "../../src/jobs/types.ts";
import type { Capabilities, MediaLimits } from "../../src/media/types.ts";
import type { Logger } from "../../src/telemetry/logger.ts";
import type { Processors } from "../attempt/processors.ts";
import type { ServiceInput } from "./worker.machine.ts";

export interface DispatchPorts {
  readonly sql: Sql;
  readonly coordination: Coordination;
  readonly logger: Logger;
  readonly jobTypes: readonly JobType[];
  readonly priorities: readonly Priority[];
  /** Of this worker. */
  readonly capabilities: Capabilities;
  /** All that are known, this worker's too once it has registered. */
  kinds(): readonly Kind[];
  readonly limits: MediaLimits;
  readonly processors: Pick<Processors, "expect">;
  readonly leaseTtlMs: number;
  /** Between looks at the rows when no hint comes; default 5 s. */
  readonly pollIntervalMs?: number;
}

const POLL_INTERVAL_MS = 5_000;
/** How long a hint is waited for where the rows are about to be looked at anyway. */
const LOOK_MS = 10;
const ERROR_DELAY_MS = 1_000;
/** Between looks that found nothing: others' jobs wake a worker that does not serve them, however many there are. */
const FRUITLESS_DELAY_MS = 100;

class Dispatch {
  readonly #ports: DispatchPorts;
  readonly #service: ServiceInput;
  readonly #onClaim: (claim: Claim) => void;
  readonly #stopping = new AbortController();
  readonly #kind: string;
  readonly #servesEverything: boolean;
  readonly #memory = new ClaimMemory();
  #free: number;
  /** Ends the wait for a slot or for a hint. */
  #wake = (): void => {};
  /**
   * The rows may hold a job that no hint names: after the start, after a job ended (its key may have room again, and
   * the hints that were passed over are gone), as long as looking finds something, and for who takes no hints when some
   * were added, also during a look.
   */
  #worthALook = true;

  constructor(ports: DispatchPorts, service: ServiceInput, onClaim: (claim: Claim) => void) {
    this.#ports = ports;
    this.#service = service;
    this.#onClaim = onClaim;
    this.#free = service.slots;
    this.#kind = kindOf(ports.capabilities);
    this.#servesEverything =
      JOB_TYPES.every((type) => ports.jobTypes.includes(type)) &&
      PRIORITIES.every((priority) => ports.priorities.includes(priority));
  }

  /**
   * Who does not run everything would take hints away from those who do: it is only woken by them and looks at the rows.
   * Where workers are of several kinds, nobody can tell from a hint who may run the job.
   */
  get #takesHints(): boolean {
    return this.#servesEverything && this.#ports.kinds().length < 2;
  }

  slotFreed(): void {
    this.#free += 1;
    this.#worthALook = true;
    this.#wake();
  }

  stop(): void {
    this.#stopping.abort();
    this.#wake();
  }

  /** Resolves when it was stopped and no claim is under way. */
  async run(): Promise<void> {
    const { signal } = this.#stopping;
    const alone = this.#ports.coordination.kind === "memory";
    const listening = alone && this.#servesEverything ? null : this.#listen();
    while (!signal.aborted) {
      try {
        await this.#round();
      } catch (error) {
        this.#ports.logger.warn({ err: error }, "claiming failed; trying again");
        // What was hinted may wait in the rows now.
        this.#worthALook = true;
        await delay(ERROR_DELAY_MS, undefined, { signal }).catch(() => {});
      }
    }
    await listening;
  }

  async #listen(): Promise<void> {
    const { signal } = this.#stopping;
    const { readyQueue } = this.#ports.coordination;
    for (let added = readyQueue.added(signal); !signal.aborted; ) {
      await added;
      // Listens again before anybody looks.
      added = readyQueue.added(signal);
      if (!this.#takesHints) {
        this.#worthALook = true;
        this.#wake();
      }
      await delay(LOOK_MS, undefined, { signal }).catch(() => {});
    }
  }

  async #round(): Promise<void> {
    const { signal } = this.#stopping;
    await this.#slot();
    if (signal.aborted) return;
    const hint = await this.#nextHint();
    if (!signal.aborted) {
      const claimed = await this.#fill(hint);
      if (!claimed && !this.#takesHints) await delay(FRUITLESS_DELAY_MS, undefined, { signal }).catch(() => {});
    } else if (hint !== null) await this.#ports.coordination.readyQueue.add([hint]).catch(() => {});
  }

  async #slot(): Promise<void> {
    while (this.#free === 0 && !this.#stopping.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Null when none came in time. Neither timer nor listener outlives the wait, however many waits there are. */
  async #nextHint(): Promise<ReadyHint | null> {
    const { coordination, logger, pollIntervalMs = POLL_INTERVAL_MS } = this.#ports;
    const patience = new AbortController();
    this.#wake = () => patience.abort();
    const timer = setTimeout(this.#wake, this.#worthALook ? LOOK_MS : pollIntervalMs);
    const { readyQueue } = coordination;
    try {
      if (this.#takesHints) return await readyQueue.take(PRIORITIES, patience.signal);
      await once(patience.signal, "abort");
      return null;
    } catch (error) {
      // The rows have the same order; until there are hints again they are looked at as often as errors are retried.
      logger.debug({ err: error }, "no hints can be had; looking at the rows");
      if (!this.#worthALook) await delay(ERROR_DELAY_MS, undefined, { signal: patience.signal }).catch(() => {});
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether a job was claimed. */
  async #fill(hint: ReadyHint | null): Promise<boolean> {
    const { ledger } = this.#service;
    ledger.claiming += 1;
    // A look mostly finds nothing.
    const expected = hint === null ? null : this.#ports.processors.expect();
    // Before the look: a slot that is freed during it makes the next one worth while.
    if (hint === null) this.#worthALook = false;
    try {
      const claimed = await this.#claim(hint);
      if (hint === null && claimed !== null) this.#worthALook = true;
      if (claimed === null) return false;
      if (this.#stopping.signal.aborted) {
        await giveBack(this.#ports.sql, claimed.lease);
        return true;
      }
      if (this.#isBeyondUs(claimed)) {
        await passOn(this.#ports.sql, claimed.lease, this.#kind);
        await this.#ports.coordination.bus.publish(channels.ready, { count: 1 }).catch(() => {});
        return true;
      }
      this.#free -= 1;
      this.#onClaim(claimed);
      return true;
    } finally {
      // Only now: a heartbeat in between would take the job for one whose claim was lost.
      ledger.claiming -= 1;
      expected?.release();
    }
  }

  /** A job of before this kind of worker was known, which another kind can run. */
  #isBeyondUs({ job }: Claim): boolean {
    if (job.manifest !== null) return false;
    try {
      return unfitKinds(this.#ports.kinds(), job.spec as ConvertSpec, this.#ports.limits).includes(this.#kind);
    } catch {
      // Nobody can: the attempt says why.
      return false;
    }
  }

  async #claim(hint: ReadyHint | null): Promise<Claim | null> {
    const { sql, coordination, jobTypes, priorities, leaseTtlMs } = this.#ports;
    const { workerId } = this.#service;
    const takesHints = this.#takesHints;
    const request = { workerId, jobTypes, priorities, kind: this.#kind, routed: !takesHints };
    if (hint === null) {
      const claimed = await claimJob(sql, request, this.#memory);
      // Nobody else takes it away, where nobody takes hints.
      if (claimed !== null && !takesHints) coordination.readyQueue.remove(claimed.job.id).catch(() => {});
      return claimed;
    }
    const lock = names.jobLock(hint.jobId);
    // So that replicas do not race for one hint; it never decides, and without it they race.
    const free = await coordination.locks.acquire(lock, workerId, leaseTtlMs).catch(() => true);
    if (!free) return null;
    let claimed: Claim | null = null;
    try {
      claimed = await claimJob(sql, { ...request, jobId: hint.jobId as JobId });
      return claimed;
    } finally {
      if (claimed === null) await coordination.locks.release(lock, workerId).catch(() => {});
    }
  }
}

export function startDispatch(
  ports: DispatchPorts,
  service: ServiceInput,
  onClaim: (claim: Claim) => void,
): { slotFreed(): void; stop(): void } {
  const dispatch = new Dispatch(ports, service, onClaim);
  service.ledger.dispatched = dispatch.run();
  return dispatch;
}

/** The fleet as this replica knows it, read anew every few seconds: what it validates against must cost no request. */
import type { Sql } from "../database/sql.ts";
import { makeFleetReader, NOBODY_SERVES, whyUnserved } from "../jobs/fleet.ts";
import type { Kind } from "../jobs/kinds.ts";
import type { Job } from "../jobs/types.ts";
import type { Capabilities } from "../media/types.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Parts } from "./parts.ts";

const REFRESH_MS = 2_000;

export interface FleetWatch {
  capabilities(): Capabilities | null;
  kinds(): readonly Kind[];
  /** Null where a worker that lives would take it. */
  whyUnserved(job: Pick<Job, "type" | "priority" | "unfit">): string | null;
  readonly live: number;
  stop(): Promise<void>;
}

export type FleetView = Omit<FleetWatch, "stop">;

/** Resolves when the rows were read once; rejects when they cannot be. */
export async function watchFleet(sql: Sql, ticks: number, logger: Logger): Promise<FleetWatch> {
  const readFleet = makeFleetReader(sql, ticks);
  let fleet = await readFleet();
  let reading: Promise<void> = Promise.resolve();
  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    reading = readFleet()
      .then((read) => {
        fleet = read;
      })
      // What was known stays true enough until the database is back.
      .catch((error: unknown) => logger.debug({ err: error }, "the fleet could not be read"))
      .finally(() => {
        busy = false;
      });
  }, REFRESH_MS);
  timer.unref?.();
  return {
    capabilities: () => fleet.capabilities,
    kinds: () => fleet.kinds,
    whyUnserved: (job) => whyUnserved(fleet, job),
    get live() {
      return fleet.live.length;
    },
    async stop() {
      clearInterval(timer);
      await reading;
    },
  };
}

/** A process that is alone is its own fleet; others know of one another by their rows. */
export async function openFleet(
  { config, sql, logger, media, coordination }: Parts,
  opened: AsyncDisposableStack,
): Promise<FleetView> {
  if (coordination.kind === "memory") {
    const { jobTypes, priorities } = config.worker;
    return {
      capabilities: () => media?.capabilities ?? null,
      kinds: () => [],
      whyUnserved: ({ type, priority }) =>
        jobTypes.includes(type) && priorities.includes(priority) ? null : NOBODY_SERVES,
      live: 1,
    };
  }
  const fleet = await watchFleet(sql, config.queue.reapAfterTicks, logger);
  opened.defer(() => fleet.stop());
  return fleet;
}

/**
 * The composition root of a server: opens everything in order, ties it together, and closes it in the reverse order.
 *
 * Start-up time is what a supervisor and a developer wait for. So what waits for others is asked for first, and the code of
 * what comes after is loaded meanwhile; an API replica does not load what runs jobs.
 */
import type { RunningSystem } from "../../actors/system.ts";
import type { Config } from "../config/config.ts";
import { ensureBootstrap } from "../security/bootstrap.ts";
import type { Logger } from "../telemetry/logger.ts";
import { openParts } from "./parts.ts";
import { claimSoleProcess } from "./sole-process.ts";

export interface Server {
  readonly url: string;
  /** Where the key lies that this start made; null when it made none. */
  readonly adminKeyPath: string | null;
  /** Resolves when the server has ended; rejects when it failed. */
  readonly ended: Promise<void>;
  /** Stops taking work, lets what runs finish within DRAIN_TIMEOUT, then closes everything. Idempotent. */
  drain(): Promise<void>;
}

/** What is needed once the parts are there. */
async function loadRest({ process: { role } }: Config) {
  const [{ openFleet }, { openFront }, { recover, startActors }, worker] = await Promise.all([
    import("./fleet.ts"),
    import("./front.ts"),
    import("./actors.ts"),
    role === "api" ? null : import("./worker.ts"),
  ]);
  return { openFleet, openFront, recover, startActors, worker };
}

export async function serve(config: Config, logger: Logger): Promise<Server> {
  await using opened = new AsyncDisposableStack();
  const waiting = Promise.withResolvers<void>();
  const [parts, { openFleet, openFront, recover, startActors, worker }] = await Promise.all([
    openParts(config, logger, opened, waiting.resolve),
    waiting.promise.then(() => loadRest(config)),
  ]);
  const alone = parts.coordination.kind === "memory";
  const sole = alone ? await claimSoleProcess(parts.sql, logger) : null;
  if (sole !== null) opened.defer(() => sole.release());
  const { adminKeyPath } = await ensureBootstrap(parts.sql, config);
  await recover(parts, alone);
  let state: "starting" | "draining" | null = "starting";
  // Before any job is claimed: a port that is taken must not cost a running job.
  const fleet = await openFleet(parts, opened);
  let running: RunningSystem | null = null;
  const describe = () => running?.describe() ?? { workerId: null, actors: [] };
  const [main] = await Promise.all([
    openFront(parts, opened, { fleet, worker, state: () => state, describe }),
    worker?.endStrays(config, logger),
  ]);
  const system = await startActors(parts, fleet, worker);
  running = system;
  opened.defer(() => system.drain());
  state = null;
  const closing = opened.move();
  let drained: Promise<void> | null = null;

  async function drain(): Promise<void> {
    state = "draining";
    logger.info({}, "draining: no new jobs are taken");
    const ended = system.drain();
    // Heard of below, where everything is closed whatever became of it.
    ended.catch(() => {});
    // Requests are still served while load balancers learn of it.
    await Bun.sleep(config.process.drainDelayMs);
    await closing.disposeAsync();
    logger.info({}, "drained");
  }
  return {
    url: main.url,
    adminKeyPath,
    ended: sole === null ? system.ended : Promise.race([system.ended, sole.lost]),
    drain: () => {
      drained ??= drain();
      return drained;
    },
  };
}

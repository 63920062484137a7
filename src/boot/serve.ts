/**
 * The composition root of a server: opens everything in order, ties it together, and closes it in the reverse order.
 *
 * Opened in parallel where nothing depends on it, since start-up time is what a supervisor and a developer wait for.
 */
import { makeAttemptLogic } from "../../actors/attempt/attempt.logic.ts";
import { makeSqlRecorder } from "../../actors/attempt/sql-recorder.ts";
import { makeCourierLogic } from "../../actors/courier/courier.logic.ts";
import {
  makeReconcilerLogic,
  offerReady,
  type ReconcilerPorts,
  tellReaped,
} from "../../actors/reconciler/reconciler.logic.ts";
import { type RunningSystem, startSystem } from "../../actors/system.ts";
import { makeWorkerLogic } from "../../actors/worker/worker.logic.ts";
import { makeApp } from "../../plugins/app.ts";
import { type Listening, listen } from "../../plugins/listen.ts";
import type { Config } from "../config/config.ts";
import { makeMemoryCoordination } from "../coordination/memory/memory.ts";
import type { Coordination } from "../coordination/ports.ts";
import type { Sql } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { keepContentKey } from "../jobs/content-keys.ts";
import { processingAttempts } from "../jobs/processing.ts";
import { reapDeadWorkers } from "../jobs/reap.ts";
import { ensureBootstrap } from "../security/bootstrap.ts";
import { makeUrlGuard, type UrlGuard } from "../security/outbound/url-guard.ts";
import { openLocalBackend } from "../storage/local/local-backend.ts";
import type { StorageRegistry } from "../storage/port.ts";
import { makeStorageRegistry } from "../storage/registry.ts";
import type { Logger } from "../telemetry/logger.ts";
import { type Metrics, makeMetrics } from "../telemetry/metrics.ts";
import { VERSION } from "../version.ts";
import { type Message, sendMessage } from "../webhooks/send.ts";
import { makeAttemptPorts, threadsOf } from "./attempt-ports.ts";
import { openMigratedDatabase } from "./database.ts";
import { makeHealthChecks } from "./health.ts";
import { makeMediaService } from "./media-service.ts";
import { type Media, openMedia } from "./media-tools.ts";
import { makeSampler } from "./sample.ts";
import { signingSecret } from "./signing-secret.ts";
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

interface Parts {
  readonly config: Config;
  readonly logger: Logger;
  readonly sql: Sql;
  readonly media: Media;
  readonly storage: StorageRegistry;
  readonly coordination: Coordination;
  readonly metrics: Metrics;
  readonly urlGuard: UrlGuard;
}

/**
 * A combined process: it is alone, so whatever the rows say is running died with the process before. What was queued
 * gets its hints back, which died with it too.
 */
async function recover(parts: Parts): Promise<void> {
  const { sql, config } = parts;
  const { poisonAfter } = config.queue;
  const limit = 1_000;
  for (;;) {
    const reaped = await reapDeadWorkers(sql, { ticksBehind: 0, poisonAfter, limit });
    if (reaped.length > 0) await tellReaped(parts, reaped);
    if (reaped.length < limit) break;
  }
  await offerReady(parts);
}

async function startActors(parts: Parts): Promise<RunningSystem> {
  const { config, logger, sql, coordination, metrics, media, urlGuard } = parts;
  const { queue, worker } = config;
  const sendWebhook = (message: Message) => sendMessage({ guard: urlGuard, version: VERSION }, message);
  const recorderPorts = {
    sql,
    coordination,
    logger,
    maxAttempts: queue.maxAttempts,
    publishTimeoutMs: queue.publishTimeoutMs,
    sendWebhook,
  };
  const attemptPorts = await makeAttemptPorts({
    ...parts,
    keepKey: (jobId, key) => keepContentKey(sql, jobId, key),
    recorder: (claim) => makeSqlRecorder(recorderPorts, claim),
  });
  await attemptPorts.workFolders.sweep(() => processingAttempts(sql));
  const reconcilerPorts: ReconcilerPorts = {
    ...parts,
    ...queue,
    workFolders: attemptPorts.workFolders,
    holder: Bun.randomUUIDv7(),
  };
  const workerLogic = makeWorkerLogic({
    ...{ sql, coordination, logger, metrics, ...queue },
    attempt: makeAttemptLogic(attemptPorts),
    role: "combined",
    version: VERSION,
    capabilities: media.capabilities,
    jobTypes: worker.jobTypes,
    priorities: worker.priorities,
    drainTimeoutMs: config.process.drainTimeoutMs,
  });
  return startSystem({
    worker: workerLogic,
    reconciler: makeReconcilerLogic(reconcilerPorts),
    courier: makeCourierLogic({
      ...{ sql, bus: coordination.bus, logger, metrics },
      send: sendWebhook,
    }),
    slots: worker.concurrency,
    logger,
  });
}

/** `state` is what `/health/ready` answers: null when ready, else why not. */
async function openFront(
  parts: Parts,
  opened: AsyncDisposableStack,
  state: () => "starting" | "draining" | null,
): Promise<Listening> {
  const { config, logger, sql, coordination, metrics, media, storage, urlGuard } = parts;
  const secret = await signingSecret(sql, config.keys.signingSecret);
  const app = makeApp({
    ...{ config, sql, readSql: sql, coordination, storage, logger, metrics, version: VERSION },
    capabilities: () => media.capabilities,
    media: makeMediaService({ media, storage, limits: config.limits, threads: threadsOf(config) }),
    signingSecret: secret,
    urlGuard,
    readiness: () => {
      const reason = state();
      return { ready: reason === null, reasons: reason === null ? [] : [reason] };
    },
    healthChecks: makeHealthChecks({ sql, storage, media }),
  });
  const { host, port, metricsPort } = config.http;
  const main = open(opened, port, () => listen(app, { host, port }));
  if (metricsPort !== null)
    open(opened, metricsPort, () => listen(app, { host, port: metricsPort, metricsOnly: true }));
  return main;
}

function open(opened: AsyncDisposableStack, port: number, start: () => Listening): Listening {
  try {
    const listening = start();
    opened.defer(() => listening.stop(true));
    return listening;
  } catch (cause) {
    const inUse = (cause as { code?: unknown }).code === "EADDRINUSE";
    throw new RendiffError({
      kind: "service.unavailable",
      publicMessage: inUse ? `Port ${port} is in use by another program.` : `Port ${port} cannot be listened on.`,
      hint: "Choose another with API_PORT or METRICS_PORT, or check API_HOST.",
      cause,
    });
  }
}

async function openParts(config: Config, logger: Logger, opened: AsyncDisposableStack): Promise<Parts> {
  const coordination = makeMemoryCoordination({
    onListenerError: (error) => logger.error({ err: error }, "a listener on the bus failed"),
  });
  opened.defer(() => coordination.close());
  const local = await openLocalBackend({ name: "local", root: config.storage.path });
  opened.defer(() => local.close());
  const [sql, media] = await Promise.allSettled([openMigratedDatabase(config, logger), openMedia(config, logger)]);
  if (sql.status === "fulfilled") opened.defer(() => sql.value.close());
  if (sql.status === "rejected") throw sql.reason;
  if (media.status === "rejected") throw media.reason;
  const metrics = makeMetrics({
    collect: makeSampler(sql.value),
    onError: (error) => logger.warn({ err: error }, "gauges could not be sampled"),
  });
  const storage = makeStorageRegistry([local]);
  const urlGuard = makeUrlGuard({ allowNetworks: config.storage.allowPrivateNetworks });
  return { config, logger, sql: sql.value, media: media.value, storage, coordination, metrics, urlGuard };
}

export async function serve(config: Config, logger: Logger): Promise<Server> {
  await using opened = new AsyncDisposableStack();
  const parts = await openParts(config, logger, opened);
  const sole = await claimSoleProcess(parts.sql, logger);
  opened.defer(() => sole.release());
  const { adminKeyPath } = await ensureBootstrap(parts.sql, config);
  await recover(parts);
  let state: "starting" | "draining" | null = "starting";
  // Before any job is claimed: a port that is taken must not cost a running job.
  const main = await openFront(parts, opened, () => state);
  const system = await startActors(parts);
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
    ended: Promise.race([system.ended, sole.lost]),
    drain: () => {
      drained ??= drain();
      return drained;
    },
  };
}

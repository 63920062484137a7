/**
 * The composition root of a server: opens everything in order, ties it together, and closes it in the reverse order.
 *
 * Opened in parallel where nothing depends on it, since start-up time is what a supervisor and a developer wait for.
 */
import { makeAttemptLogic } from "../../actors/attempt/attempt.logic.ts";
import { makeSqlRecorder } from "../../actors/attempt/sql-recorder.ts";
import { type CourierLogic, makeCourierLogic } from "../../actors/courier/courier.logic.ts";
import {
  makeReconcilerLogic,
  offerReady,
  type ReconcilerPorts,
  tellReaped,
} from "../../actors/reconciler/reconciler.logic.ts";
import { type RunningSystem, startSystem } from "../../actors/system.ts";
import { makeWorkerLogic } from "../../actors/worker/worker.logic.ts";
import { makeApp } from "../../plugins/app.ts";
import type { MediaService } from "../../plugins/context.ts";
import { type Listening, listen } from "../../plugins/listen.ts";
import type { Config } from "../config/config.ts";
import type { Coordination } from "../coordination/ports.ts";
import type { Sql } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { makeProbeCache, type ProbeCache } from "../ffmpeg/probe-cache.ts";
import { keepContentKey } from "../jobs/content-keys.ts";
import { NOBODY_SERVES } from "../jobs/fleet.ts";
import { processingAttempts } from "../jobs/processing.ts";
import { reapDeadWorkers } from "../jobs/reap.ts";
import { ensureBootstrap } from "../security/bootstrap.ts";
import { makeUrlGuard, type UrlGuard } from "../security/outbound/url-guard.ts";
import type { StorageRegistry } from "../storage/port.ts";
import { type CountedMetrics, withFigures } from "../telemetry/figures.ts";
import type { Logger } from "../telemetry/logger.ts";
import { makeMetrics } from "../telemetry/metrics.ts";
import type { Tracer } from "../telemetry/tracer.ts";
import type { Uploads } from "../uploads/uploads.ts";
import { VERSION } from "../version.ts";
import { type Message, sendMessage } from "../webhooks/send.ts";
import { makeAttemptPorts } from "./attempt-ports.ts";
import { openCoordination } from "./coordination.ts";
import { makeReadDatabase, openMigratedDatabase } from "./database.ts";
import { type FleetWatch, watchFleet } from "./fleet.ts";
import { makeHealthChecks } from "./health.ts";
import { answerRequests, askWorkers } from "./media-remote.ts";
import { makeMediaService } from "./media-service.ts";
import type { Media } from "./media-tools.ts";
import { openReplicas } from "./replicas.ts";
import { disksOf, makeSampler } from "./sample.ts";
import { makeSampleRecorder } from "./sample-recorder.ts";
import { signingSecret } from "./signing-secret.ts";
import { claimSoleProcess } from "./sole-process.ts";
import { openStorage } from "./storage.ts";
import { openTracer } from "./traces.ts";
import { openUploads } from "./uploads.ts";

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
  /** Null in an API replica, which needs no FFmpeg. */
  readonly media: Media | null;
  readonly storage: StorageRegistry;
  readonly coordination: Coordination;
  readonly metrics: CountedMetrics;
  readonly tracer: Tracer;
  readonly urlGuard: UrlGuard;
  readonly uploads: Uploads;
  /** Of this process, new at each start. */
  readonly replicaId: string;
}

/**
 * What was queued gets its hints back, which may have died with the process before. A process that is alone knows more:
 * whatever the rows say is running died too.
 */
async function recover(parts: Parts, alone: boolean): Promise<void> {
  const { sql, config } = parts;
  const { poisonAfter } = config.queue;
  const limit = 1_000;
  while (alone) {
    const reaped = await reapDeadWorkers(sql, { ticksBehind: 0, poisonAfter, limit });
    if (reaped.length > 0) await tellReaped(parts, reaped);
    if (reaped.length < limit) break;
  }
  if (alone) await parts.uploads.recover();
  await offerReady(parts);
}

type FleetView = Omit<FleetWatch, "stop">;

async function startActors(parts: Parts, fleet: FleetView): Promise<RunningSystem> {
  const { config, logger, sql, coordination, metrics, tracer, media, urlGuard } = parts;
  const slots = media === null ? 0 : config.worker.concurrency;
  const recordSample = makeSampleRecorder({ ...parts, slots, reapAfterTicks: config.queue.reapAfterTicks });
  const reconcilerPorts = { ...parts, ...config.queue, holder: parts.replicaId, recordSample };
  const sendWebhook = (message: Message) => sendMessage({ guard: urlGuard, version: VERSION }, message);
  const courier = makeCourierLogic({ ...{ sql, bus: coordination.bus, logger, metrics, tracer }, send: sendWebhook });
  if (media !== null) return startWorker({ ...parts, media, courier, sendWebhook, fleet }, reconcilerPorts);
  const reconciler = makeReconcilerLogic({ ...reconcilerPorts, workFolders: null });
  return startSystem({ worker: null, reconciler, courier, slots: 0, logger });
}

/** Shared by all replicas: what one has looked at, none has to look at again. */
const probesOf = (
  { capabilities }: Media,
  { coordination, config }: Pick<Parts, "coordination" | "config">,
): ProbeCache => makeProbeCache(coordination.cache, { capabilities, limits: config.limits });

interface WorkerParts extends Parts {
  readonly media: Media;
  readonly courier: CourierLogic;
  readonly fleet: FleetView;
  sendWebhook(message: Message): ReturnType<typeof sendMessage>;
}

async function startWorker(
  parts: WorkerParts,
  reconcilerPorts: Omit<ReconcilerPorts, "workFolders">,
): Promise<RunningSystem> {
  const { config, logger, sql, coordination, metrics, tracer, media, courier, sendWebhook, fleet } = parts;
  const { queue, worker } = config;
  const recorderPorts = {
    sql,
    coordination,
    logger,
    maxAttempts: queue.maxAttempts,
    publishTimeoutMs: queue.publishTimeoutMs,
    sendWebhook,
  };
  const attemptPorts = await makeAttemptPorts({
    keepKey: (jobId, key) => keepContentKey(sql, jobId, key),
    probes: probesOf(media, parts),
    ...parts,
    media,
    recorder: (claim) => makeSqlRecorder(recorderPorts, claim),
  });
  await attemptPorts.workFolders.sweep(() => processingAttempts(sql));
  const workerLogic = makeWorkerLogic({
    ...{ sql, coordination, logger, metrics, tracer, ...queue },
    attempt: makeAttemptLogic(attemptPorts),
    role: config.process.role === "worker" ? "worker" : "combined",
    version: VERSION,
    capabilities: media.capabilities,
    ...{ jobTypes: worker.jobTypes, priorities: worker.priorities },
    ...{ kinds: fleet.kinds, limits: config.limits },
    drainTimeoutMs: config.process.drainTimeoutMs,
  });
  return startSystem({
    worker: workerLogic,
    reconciler: makeReconcilerLogic({ ...reconcilerPorts, workFolders: attemptPorts.workFolders }),
    courier,
    slots: worker.concurrency,
    logger,
  });
}

/** `state` is what `/health/ready` answers: null when ready, else why not. */
async function openFront(
  parts: Parts,
  opened: AsyncDisposableStack,
  fleet: FleetView,
  state: () => "starting" | "draining" | null,
  describe: RunningSystem["describe"],
): Promise<Listening> {
  const { config, logger, sql, coordination, metrics, tracer, media, storage, urlGuard, uploads } = parts;
  const secret = await signingSecret(sql, config.keys.signingSecret);
  const readSql = makeReadDatabase(config, logger, sql);
  opened.defer(() => readSql.close());
  const { role } = config.process;
  const self = { id: parts.replicaId, role, version: VERSION };
  const replicas = await openReplicas({ coordination, logger, describe: () => ({ ...self, ...describe() }) });
  opened.defer(() => replicas.close());
  const app = makeApp({
    ...{ config, sql, readSql, coordination, storage, logger, metrics, tracer, version: VERSION },
    capabilities: fleet.capabilities,
    ...{ kinds: fleet.kinds, whyUnserved: fleet.whyUnserved },
    statusOnly: role === "worker",
    askReplicas: replicas.ask,
    media: await openMediaService(parts, opened, fleet),
    signingSecret: secret,
    ...{ urlGuard, uploads },
    readiness: () => {
      const reason = state();
      return { ready: reason === null, reasons: reason === null ? [] : [reason] };
    },
    healthChecks: makeHealthChecks({ sql, storage, media, coordination, liveWorkers: () => fleet.live }),
  });
  const { host, port, metricsPort } = config.http;
  const main = open(opened, port, () => listen(app, { host, port }));
  if (metricsPort !== null)
    open(opened, metricsPort, () => listen(app, { host, port: metricsPort, metricsOnly: true }));
  // Before the server waits for its requests: what is being sent is recorded, and its client told to go on elsewhere.
  opened.defer(() => uploads.close());
  return main;
}

/** A process that is alone is its own fleet; others know of one another by their rows. */
async function openFleet(
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

/** With an FFmpeg of its own a replica answers itself, and others that have none. */
async function openMediaService(
  { config, media, storage, coordination, logger }: Parts,
  opened: AsyncDisposableStack,
  fleet: Pick<FleetWatch, "live">,
): Promise<MediaService> {
  const { bus, locks } = coordination;
  if (media === null) {
    const remote = await askWorkers(bus, () => fleet.live > 0);
    opened.defer(() => remote.close());
    return remote;
  }
  const { ffmpegThreads, cpuCount } = config.worker;
  // As for a job that is alone.
  const threads = ffmpegThreads === "auto" ? cpuCount : ffmpegThreads;
  const probes = probesOf(media, { coordination, config });
  const own = makeMediaService({ media, storage, probes, limits: config.limits, threads });
  if (coordination.kind === "redis") {
    const stop = await answerRequests({ bus, locks, media: own, logger });
    opened.defer(stop);
  }
  return own;
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
  const urlGuard = makeUrlGuard({ allowNetworks: config.storage.allowPrivateNetworks });
  const tracer = await openTracer(config, logger);
  opened.defer(() => tracer.close());
  const [coordination, sql, media] = await Promise.allSettled([
    openCoordination(config, logger),
    openMigratedDatabase(config, logger),
    config.process.role === "api" ? null : import("./media-tools.ts").then((tools) => tools.openMedia(config, logger)),
  ]);
  if (coordination.status === "fulfilled") opened.defer(() => coordination.value.close());
  if (sql.status === "fulfilled") opened.defer(() => sql.value.close());
  if (coordination.status === "rejected") throw coordination.reason;
  if (sql.status === "rejected") throw sql.reason;
  if (media.status === "rejected") throw media.reason;
  const counted = makeMetrics({
    collect: makeSampler({
      ...{ sql: sql.value, coordination: coordination.value, disks: disksOf(config) },
      reapAfterTicks: config.queue.reapAfterTicks,
      onError: (error) => logger.warn({ err: error }, "gauges could not be sampled"),
    }),
    build: { version: VERSION, role: config.process.role },
    slots: media.value === null ? null : config.worker.concurrency,
  });
  const metrics = withFigures(counted);
  const storage = await openStorage({ storage: config.storage, guard: urlGuard, metrics });
  opened.defer(() => storage.close());
  const shared = { config, logger, sql: sql.value, coordination: coordination.value, storage };
  return {
    ...shared,
    media: media.value,
    metrics,
    urlGuard,
    tracer,
    uploads: openUploads(shared),
    replicaId: Bun.randomUUIDv7(),
  };
}

export async function serve(config: Config, logger: Logger): Promise<Server> {
  await using opened = new AsyncDisposableStack();
  const parts = await openParts(config, logger, opened);
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
  const main = await openFront(parts, opened, fleet, () => state, describe);
  const system = await startActors(parts, fleet);
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

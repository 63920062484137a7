/** What everything in a server needs: opened at once, since each waits for something else. */
import type { Config } from "../config/config.ts";
import type { Coordination } from "../coordination/ports.ts";
import type { Sql } from "../database/sql.ts";
import { makeUrlGuard, type UrlGuard } from "../security/outbound/url-guard.ts";
import type { StorageRegistry } from "../storage/port.ts";
import { type CountedMetrics, withFigures } from "../telemetry/figures.ts";
import type { Logger } from "../telemetry/logger.ts";
import { makeMetrics } from "../telemetry/metrics.ts";
import type { Tracer } from "../telemetry/tracer.ts";
import type { Uploads } from "../uploads/uploads.ts";
import { VERSION } from "../version.ts";
import { openCoordination } from "./coordination.ts";
import { openMigratedDatabase } from "./database.ts";
import type { Media } from "./media-tools.ts";
import { disksOf, makeSampler } from "./sample.ts";
import { openStorage } from "./storage.ts";
import { openTracer } from "./traces.ts";
import { openUploads } from "./uploads.ts";

export interface Parts {
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

/** Without an FFmpeg of its own a replica waits for its connections alone, which are made within a turn. */
async function openTools(config: Config, logger: Logger, onWaiting: () => void): Promise<Media | null> {
  if (config.process.role === "api") {
    setImmediate(onWaiting);
    return null;
  }
  try {
    return await (await import("./media-tools.ts")).openMedia(config, logger, onWaiting);
  } finally {
    onWaiting();
  }
}

/**
 * Fails with the first of what cannot be opened; what was opened is closed with `opened`. `onWaiting` is called when all that
 * others do has been asked for, or later: there is time for something else.
 */
export async function openParts(
  config: Config,
  logger: Logger,
  opened: AsyncDisposableStack,
  onWaiting: () => void,
): Promise<Parts> {
  const [coordination, sql, media] = await Promise.allSettled([
    openCoordination(config, logger),
    openMigratedDatabase(config, logger),
    openTools(config, logger, onWaiting),
  ]);
  if (coordination.status === "fulfilled") opened.defer(() => coordination.value.close());
  if (sql.status === "fulfilled") opened.defer(() => sql.value.close());
  if (coordination.status === "rejected") throw coordination.reason;
  if (sql.status === "rejected") throw sql.reason;
  if (media.status === "rejected") throw media.reason;
  const urlGuard = makeUrlGuard({ allowNetworks: config.storage.allowPrivateNetworks });
  const tracer = await openTracer(config, logger);
  opened.defer(() => tracer.close());
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

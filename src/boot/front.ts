/** The front end of a server: everything that requests meet, and the ports it listens on. */
import type { RunningSystem } from "../../actors/system.ts";
import { makeApp } from "../../plugins/app.ts";
import type { MediaService } from "../../plugins/context.ts";
import { type Listening, listen } from "../../plugins/listen.ts";
import { RendiffError } from "../errors.ts";
import { VERSION } from "../version.ts";
import { makeReadDatabase } from "./database.ts";
import type { FleetView } from "./fleet.ts";
import { makeHealthChecks } from "./health.ts";
import { askWorkers } from "./media-remote.ts";
import type { Parts } from "./parts.ts";
import { openReplicas } from "./replicas.ts";
import { signingSecret } from "./signing-secret.ts";
import type { WorkerHalf } from "./worker.ts";

export interface FrontOptions {
  readonly fleet: FleetView;
  /** Null where there is no FFmpeg. */
  readonly worker: WorkerHalf | null;
  /** What `/health/ready` answers: null when ready, else why not. */
  readonly state: () => "starting" | "draining" | null;
  readonly describe: RunningSystem["describe"];
}

/** Listens when it resolves. Throws `service.unavailable` when a port is taken. */
export async function openFront(
  parts: Parts,
  opened: AsyncDisposableStack,
  { fleet, worker, state, describe }: FrontOptions,
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
    media: await openMediaService(parts, opened, fleet, worker),
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

/** With an FFmpeg of its own a replica answers itself, and others that have none. */
async function openMediaService(
  parts: Parts,
  opened: AsyncDisposableStack,
  fleet: FleetView,
  worker: WorkerHalf | null,
): Promise<MediaService> {
  if (parts.media !== null && worker !== null)
    return await worker.openOwnMedia({ ...parts, media: parts.media }, opened);
  const remote = await askWorkers(parts.coordination.bus, () => fleet.live > 0);
  opened.defer(() => remote.close());
  return remote;
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

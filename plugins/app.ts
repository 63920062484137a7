/** The front end as a whole. The order is the order in which a request meets them. */
import { Elysia } from "elysia";
import { makeEventHub } from "../src/events/hub.ts";
import { makeInsertTogether } from "../src/jobs/insert-together.ts";
import { makeAuditTally } from "../src/security/audit-tally.ts";
import { makeAuthenticator } from "../src/security/authenticator.ts";
import { findGoodKeys } from "../src/security/keys.ts";
import { makeAddressBlocks } from "./address-blocks.ts";
import { admin } from "./admin/admin.ts";
import { adminKeys } from "./admin/admin-keys.ts";
import { analyzePlugin } from "./analyze/analyze.ts";
import { batch } from "./batch/batch.ts";
import { capabilities } from "./capabilities/capabilities.ts";
import { makeConnections } from "./connections.ts";
import type { HttpContext, HttpServices } from "./context.ts";
import { convertPlugin } from "./convert/convert.ts";
import { docs } from "./docs/docs.ts";
import { errors } from "./errors.ts";
import { estimatePlugin } from "./estimate/estimate.ts";
import { events } from "./events/events.ts";
import { files } from "./files/files.ts";
import { gate } from "./gate.ts";
import { health } from "./health/health.ts";
import { jobs } from "./jobs/jobs.ts";
import { keys } from "./keys/keys.ts";
import { metrics } from "./metrics/metrics.ts";
import { outer } from "./outer.ts";
import { presets } from "./presets/presets.ts";
import { probe } from "./probe/probe.ts";
import { queues } from "./queues/queues.ts";
import { streamPlugin } from "./stream/stream.ts";
import { tokens } from "./tokens/tokens.ts";
import { makeTurnAway } from "./turned-away.ts";
import { uploads } from "./uploads/uploads.ts";
import { webhooks } from "./webhooks/webhooks.ts";

function makeElysia(context: HttpContext) {
  return (
    // Wildcard routes answer 404 for a Host of three characters or fewer otherwise.
    new Elysia({ handler: { standardHostname: false }, normalize: false })
      .use(errors(context))
      .use(outer(context))
      .use(gate(context))
      .use(convertPlugin(context))
      .use(streamPlugin(context))
      .use(analyzePlugin(context))
      .use(estimatePlugin(context))
      .use(probe(context))
      .use(jobs(context))
      .use(batch(context))
      .use(presets(context))
      .use(events(context))
      .use(tokens(context))
      .use(webhooks(context))
      .use(files(context))
      .use(uploads(context))
      .use(keys(context))
      .use(health(context))
      .use(capabilities(context))
      .use(metrics(context))
      .use(docs(context))
      .use(admin(context))
      .use(adminKeys(context))
      .use(queues(context))
  );
}

export type { HttpServices } from "./context.ts";

export interface RendiffApp {
  readonly elysia: ReturnType<typeof makeElysia>;
  readonly context: HttpContext;
  /** Answers one request, as a server would: for tests and for `listen`. */
  handle(request: Request): Response | Promise<Response>;
  /** Ends streams and sockets and gives back subscriptions. Idempotent. */
  close(): Promise<void>;
}

export function makeApp(services: HttpServices): RendiffApp {
  const { sql, coordination, config, logger } = services;
  const connections = makeConnections(config.keys.enabled ? { goodKeys: (keyIds) => findGoodKeys(sql, keyIds) } : {});
  const context: HttpContext = {
    ...services,
    connections,
    addressBlocks: makeAddressBlocks(),
    audit: makeAuditTally({ sql, logger }),
    insertTogether: makeInsertTogether(services.sql),
    authenticator: makeAuthenticator({
      sql,
      bus: coordination.bus,
      keysEnabled: config.keys.enabled,
      onChanged: connections.closeOf,
    }),
    events: makeEventHub({
      sql,
      bus: coordination.bus,
      onError: (error) => logger.warn({ err: error }, "events could not be read; they will be looked for again"),
    }),
  };
  const turnAway = makeTurnAway(context);
  const elysia = makeElysia(context);
  return {
    elysia,
    context,
    handle: (request) => turnAway(request) ?? elysia.fetch(request),
    async close() {
      context.connections.closeAll();
      await context.events.close();
      await context.authenticator.close();
      await context.audit.close();
    },
  };
}

/**
 * What a client can call, declared: one rule per route, from which come access, rate limits, the metrics' labels, the
 * OpenAPI document, and the check in the tests that no route is without a rule.
 */
import { adminRoutes } from "./admin/admin.routes.ts";
import { analyzeRoutes } from "./analyze/analyze.routes.ts";
import { batchRoutes } from "./batch/batch.routes.ts";
import { capabilitiesRoutes } from "./capabilities/capabilities.routes.ts";
import { convertRoutes } from "./convert/convert.routes.ts";
import { docsRoutes } from "./docs/docs.routes.ts";
import { estimateRoutes } from "./estimate/estimate.routes.ts";
import { eventsRoutes } from "./events/events.routes.ts";
import { filesRoutes } from "./files/files.routes.ts";
import { healthRoutes } from "./health/health.routes.ts";
import { jobsRoutes } from "./jobs/jobs.routes.ts";
import { keysRoutes } from "./keys/keys.routes.ts";
import { metricsRoutes } from "./metrics/metrics.routes.ts";
import { presetsRoutes } from "./presets/presets.routes.ts";
import { probeRoutes } from "./probe/probe.routes.ts";
import { queuesRoutes } from "./queues/queues.routes.ts";
import type { RouteRule } from "./route-rule.ts";
import { streamRoutes } from "./stream/stream.routes.ts";
import { tokensRoutes } from "./tokens/tokens.routes.ts";
import { uploadsRoutes } from "./uploads/uploads.routes.ts";
import { webhooksRoutes } from "./webhooks/webhooks.routes.ts";

export const ROUTES: readonly RouteRule[] = [
  ...convertRoutes,
  ...streamRoutes,
  ...analyzeRoutes,
  ...estimateRoutes,
  ...probeRoutes,
  ...jobsRoutes,
  ...batchRoutes,
  ...presetsRoutes,
  ...eventsRoutes,
  ...tokensRoutes,
  ...webhooksRoutes,
  ...filesRoutes,
  ...uploadsRoutes,
  ...keysRoutes,
  ...healthRoutes,
  ...capabilitiesRoutes,
  ...metricsRoutes,
  ...docsRoutes,
  ...adminRoutes,
  ...queuesRoutes,
];

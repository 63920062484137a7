/** What this process counts of requests, of storage and of webhooks. */
import type { Metrics } from "./metrics.ts";
import { Counter, Histogram, type Registry } from "./prom-client.ts";

const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** A client may invent methods. */
const known = (method: string): string => (METHODS.has(method) ? method : "other");

export function makeTrafficMetrics(registry: Registry) {
  const registers = [registry];
  const requests = new Counter({
    name: "rendiff_api_requests_total",
    help: "Requests answered.",
    labelNames: ["method", "route", "status"],
    registers,
  });
  const duration = new Histogram({
    name: "rendiff_api_request_duration_seconds",
    help: "From a request's arrival to its answer's first byte.",
    labelNames: ["method", "route"],
    buckets: REQUEST_SECONDS,
    registers,
  });
  const transferred = new Counter({
    name: "rendiff_storage_transfer_bytes_total",
    help: "Bytes read from (download) and written to (upload) a storage backend.",
    labelNames: ["backend", "direction"],
    registers,
  });
  const calls = new Histogram({
    name: "rendiff_storage_request_seconds",
    help: "How long a call to a storage backend took.",
    labelNames: ["backend", "operation", "outcome"],
    buckets: REQUEST_SECONDS,
    registers,
  });
  const webhooks = new Counter({
    name: "rendiff_webhook_deliveries_total",
    help: "Tries to deliver a webhook, by what became of them.",
    labelNames: ["outcome"],
    registers,
  });
  for (const outcome of ["delivered", "retried", "failed"]) webhooks.inc({ outcome }, 0);
  return {
    webhookTried: (outcome) => webhooks.inc({ outcome }),
    requestTurnedAway: ({ method, status }) => requests.inc({ method: known(method), route: "none", status }),
    requestFinished: ({ method: asked, route, status, seconds }) => {
      const method = known(asked);
      requests.inc({ method, route, status });
      duration.observe({ method, route }, seconds);
    },
    storageCalled: ({ seconds, ...labels }) => calls.observe(labels, seconds),
    storageTransferred: ({ backend, direction, bytes }) => transferred.inc({ backend, direction }, bytes),
  } satisfies Partial<Metrics>;
}

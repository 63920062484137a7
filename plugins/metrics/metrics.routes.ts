/** The rule of `/metrics`. */
import type { RouteRule } from "../route-rule.ts";

export const metricsRoutes: readonly RouteRule[] = [
  {
    at: "both",
    tag: "System",
    id: "metrics",
    method: "GET",
    path: "/metrics",
    access: "metrics",
    summary: "Prometheus metrics, for the networks that METRICS_ALLOW names",
    answers: { 200: { description: "The metrics.", mediaType: "text/plain" } },
  },
];

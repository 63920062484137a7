/** The rules of the documentation. */
import type { RouteRule } from "../route-rule.ts";

const docs = { at: "both", tag: "System", access: "public", method: "GET" } as const;

export const docsRoutes: readonly RouteRule[] = [
  {
    ...docs,
    id: "openapi",
    path: "/openapi.json",
    summary: "This document",
    answers: { 200: { description: "OpenAPI 3.1.", mediaType: "application/json" } },
  },
  {
    ...docs,
    id: "docs",
    path: "/docs",
    summary: "Interactive documentation",
    answers: { 200: { description: "A page.", mediaType: "text/html" } },
  },
];

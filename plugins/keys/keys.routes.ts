/** The rule of `/keys/{token}`. */
import type { RouteRule } from "../route-rule.ts";

export const keysRoutes: readonly RouteRule[] = [
  {
    at: "api",
    tag: "Files",
    id: "keys.get",
    method: "GET",
    path: "/keys/:token",
    access: "signed",
    summary: "The key of an encrypted package, for players",
    description: "The token stands in the package's playlists. Pages of other origins need CORS_ORIGINS.",
    answers: { 200: { description: "Sixteen bytes.", mediaType: "application/octet-stream" } },
  },
];

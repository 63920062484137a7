/** Routes whose features are not built yet: they answer UNSUPPORTED and name the feature. */
import type { Access, Method, RouteRule } from "../route-rule.ts";

function missing(feature: string, access: Access, routes: readonly (readonly [Method, string])[]): RouteRule[] {
  return routes.map(([method, path]) => ({
    id: `missing.${method.toLowerCase()}${path.replaceAll("/", ".").replaceAll(":", "")}`,
    method,
    path,
    at: "api",
    access,
    tag: "Not built yet",
    summary: feature,
    missing: feature,
    answers: {},
  }));
}

export const unsupportedRoutes: readonly RouteRule[] = [...missing("estimates", "user", [["POST", "/estimate"]])];

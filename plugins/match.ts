/** From a request's method and path to the rule it falls under, in the same way in which the router matches. */
import { API_PREFIX, type Method, type RouteRule } from "./route-rule.ts";

export type MatchResult =
  | { readonly outcome: "matched"; readonly rule: RouteRule }
  /** The path exists, with other methods. */
  | { readonly outcome: "wrong_method"; readonly allowed: readonly Method[] }
  | { readonly outcome: "unknown" };

export type RouteMatcher = (method: string, path: string) => MatchResult;

interface Pattern {
  readonly segments: readonly string[];
  readonly rule: RouteRule;
}

export function fullPaths(rule: RouteRule): string[] {
  const api = `${API_PREFIX}${rule.path}`;
  return rule.at === "both" ? [rule.path, api] : [api];
}

function fits(pattern: readonly string[], segments: readonly string[]): boolean {
  return pattern.every((part, index) => (part.startsWith(":") ? segments[index] !== "" : part === segments[index]));
}

function literalCount(pattern: Pattern): number {
  return pattern.segments.filter((part) => !part.startsWith(":")).length;
}

export function makeRouteMatcher(rules: readonly RouteRule[]): RouteMatcher {
  const byLength = new Map<number, Pattern[]>();
  const literal = new Map<string, RouteRule>();
  for (const rule of rules) {
    for (const path of fullPaths(rule)) {
      if (!path.includes(":")) literal.set(`${rule.method} ${path}`, rule);
      const pattern = { segments: path.split("/"), rule };
      byLength.set(pattern.segments.length, [...(byLength.get(pattern.segments.length) ?? []), pattern]);
    }
  }
  // A literal segment wins over a parameter, as in the router.
  for (const patterns of byLength.values()) patterns.sort((a, b) => literalCount(b) - literalCount(a));

  return (method, path) => {
    const exact = literal.get(`${method} ${path}`);
    if (exact !== undefined) return { outcome: "matched", rule: exact };
    const trimmed = path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
    const segments = trimmed.split("/");
    const patterns = (byLength.get(segments.length) ?? []).filter((pattern) => fits(pattern.segments, segments));
    const best = patterns[0];
    if (best === undefined) return { outcome: "unknown" };
    const here = patterns.filter((pattern) => literalCount(pattern) === literalCount(best)).map(({ rule }) => rule);
    const rule =
      here.find((candidate) => candidate.method === method) ??
      (method === "HEAD"
        ? here.find((candidate) => candidate.method === "GET" && candidate.endless !== true)
        : undefined);
    if (rule !== undefined) return { outcome: "matched", rule };
    return { outcome: "wrong_method", allowed: here.map((candidate) => candidate.method) };
  };
}

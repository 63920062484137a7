/**
 * Who may call what, decided before a body is read: address, route, key, role, rate, in this order, so that guessing
 * keys is slow and an unknown caller learns nothing.
 */
import { Elysia } from "elysia";
import { names } from "../src/coordination/ports.ts";
import { RendiffError } from "../src/errors.ts";
import { type Principal, requireRole } from "../src/security/principal.ts";
import { verifyReadToken } from "../src/security/read-tokens.ts";
import { type AddressTest, makeAddressTest } from "../src/validation/addresses.ts";
import { addressBucket } from "./client-address.ts";
import type { HttpContext } from "./context.ts";
import { makeRouteMatcher, type RouteMatcher } from "./match.ts";
import { requireOwnPage } from "./own-page.ts";
import { peerOf } from "./peers.ts";
import { readQuery } from "./query.ts";
import type { RouteRule } from "./route-rule.ts";
import { ROUTES } from "./routes.ts";
import { type RequestState, stateOf } from "./state.ts";

const WINDOW_MS = 60_000;

/** `X-API-Key`, or `Authorization: Bearer`; null when there is neither. */
function presentedKey(request: Request): string | null {
  const direct = request.headers.get("x-api-key");
  if (direct !== null) return direct.trim();
  const bearer = /^bearer +(.+)$/i.exec(request.headers.get("authorization") ?? "");
  return bearer?.[1]?.trim() ?? null;
}

/** As the router reads it: still encoded, so that both see the same text. */
function pathOf(request: Request): string {
  const { url } = request;
  const start = url.indexOf("/", "http://".length);
  const query = url.indexOf("?", start + 1);
  return url.slice(start, query === -1 ? undefined : query);
}

/** With METRICS_PORT set, metrics are there and nowhere else, and nothing else is there. */
function isHere(context: HttpContext, request: Request, rule: RouteRule): boolean {
  const metricsOnly = peerOf(request)?.metricsOnly ?? false;
  if (context.statusOnly && rule.access !== "metrics" && rule.path !== "/health" && !rule.path.startsWith("/health/")) {
    return false;
  }
  return rule.access === "metrics" ? context.config.http.metricsPort === null || metricsOnly : !metricsOnly;
}

const nothingHere = (): RendiffError =>
  new RendiffError({ kind: "request.not_found", publicMessage: "There is nothing at this address." });

/** The router's parameters are null where they cannot be decoded, whatever their type says. */
function isDecodable(path: string): boolean {
  if (!path.includes("%")) return true;
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

function findRule(context: HttpContext, match: RouteMatcher, request: Request, state: RequestState): RouteRule {
  const path = pathOf(request);
  const result = match(state.method, path);
  if (!isDecodable(path)) throw nothingHere();
  if (result.outcome === "matched" && isHere(context, request, result.rule)) return result.rule;
  if (result.outcome !== "wrong_method") {
    throw nothingHere();
  }
  const allowed = [...new Set(result.allowed)].join(", ");
  state.headers.allow = allowed;
  throw new RendiffError({
    kind: "request.not_found",
    publicMessage: `There is nothing at this address for this method; it answers to ${allowed}.`,
  });
}

export const wholeSeconds = (durationMs: number): number => Math.max(1, Math.ceil(durationMs / 1000));

/** For `durationMs` more. */
export function tooManyFromAddress(durationMs: number): RendiffError {
  return new RendiffError({
    kind: "request.rate_limited",
    publicMessage: "Too many requests from this address; slow down.",
    retryAfterSeconds: wholeSeconds(durationMs),
  });
}

async function limitAddress(context: HttpContext, address: string): Promise<void> {
  const limit = context.config.keys.addressRateLimitPerMinute;
  const bucket = addressBucket(address);
  const decision = await context.coordination.limiter.consume(`address:${bucket}`, limit, WINDOW_MS);
  if (decision.allowed) return;
  context.addressBlocks.add(bucket, decision.resetMs);
  throw tooManyFromAddress(decision.resetMs);
}

/** `?token=` of POST /tokens, where a browser cannot send a header; null when there is none. */
async function byToken(context: HttpContext, request: Request, rule: RouteRule): Promise<Principal | null> {
  const text = rule.endless === true && request.url.includes("token=") ? readQuery(request).token : undefined;
  if (text === undefined) return null;
  const token = typeof text === "string" ? verifyReadToken(context.signingSecret, text) : null;
  const principal = token === null ? null : await context.authenticator.byId(token.keyId);
  if (token === null || principal === null) {
    refused(context, request);
    throw new RendiffError({
      kind: "auth.invalid",
      publicMessage: "This token is unknown or expired, or its key does not work any more.",
    });
  }
  const { expiresAt: keyExpiresAt } = principal;
  const expiresAt = keyExpiresAt !== null && keyExpiresAt < token.expiresAt ? keyExpiresAt : token.expiresAt;
  return { ...principal, role: "readonly", expiresAt, ...(token.jobId === null ? {} : { onlyJobId: token.jobId }) };
}

/** Counted, not a row each: guessing must not cost the database anything. */
function refused(context: HttpContext, request: Request): void {
  const { address, requestId } = stateOf(request);
  context.audit.count({ actor: "unknown", action: "key.refused", address: addressBucket(address) }, requestId);
}

async function authenticate(context: HttpContext, request: Request, rule: RouteRule): Promise<Principal> {
  const { authenticator } = context;
  const key = presentedKey(request);
  const bearer = key === null ? await byToken(context, request, rule) : null;
  if (bearer !== null) return bearer;
  if (authenticator.anonymous !== null) {
    requireOwnPage(request, context.config.http);
    return authenticator.anonymous;
  }
  if (key === null) {
    throw new RendiffError({
      kind: "auth.missing",
      publicMessage: "This call needs an API key, as X-API-Key or Authorization: Bearer.",
    });
  }
  const principal = await authenticator.authenticate(key);
  if (principal !== null) return principal;
  refused(context, request);
  throw new RendiffError({ kind: "auth.invalid", publicMessage: "This API key is unknown, expired or revoked." });
}

async function limitKey(
  context: HttpContext,
  state: RequestState,
  principal: Principal,
  rule: RouteRule,
): Promise<void> {
  const limit = principal.rateLimitPerMinute ?? context.config.keys.rateLimitPerMinute;
  const name = names.rateLimit(principal.keyId, rule.id);
  const decision = await context.coordination.limiter.consume(name, limit, WINDOW_MS);
  const resetSeconds = wholeSeconds(decision.resetMs);
  state.headers["x-ratelimit-limit"] = String(decision.limit);
  state.headers["x-ratelimit-remaining"] = String(Math.max(0, decision.remaining));
  state.headers["x-ratelimit-reset"] = String(resetSeconds);
  if (decision.allowed) return;
  throw new RendiffError({
    kind: "request.rate_limited",
    publicMessage: `This key may make ${decision.limit} requests a minute to this endpoint; slow down.`,
    retryAfterSeconds: resetSeconds,
  });
}

interface Networks {
  readonly mayCall: AddressTest;
  readonly mayScrape: AddressTest;
}

function notFromHere(): RendiffError {
  return new RendiffError({ kind: "auth.forbidden", publicMessage: "This address may not call this service." });
}

async function pass(context: HttpContext, networks: Networks, match: RouteMatcher, request: Request) {
  const state = stateOf(request);
  if (!networks.mayCall(state.address)) throw notFromHere();
  await limitAddress(context, state.address);
  const rule = findRule(context, match, request, state);
  state.rule = rule;
  if (rule.access === "public" || rule.access === "signed") return;
  if (rule.access === "metrics") {
    if (!networks.mayScrape(state.address)) throw notFromHere();
    return;
  }
  const principal = await authenticate(context, request, rule);
  state.principal = principal;
  await limitKey(context, state, principal, rule);
  requireRole(principal, rule.access);
  if (rule.access === "admin" && rule.method === "GET") {
    const { address, requestId } = state;
    context.audit.count({ actor: principal.keyId, action: `read ${rule.id}`, address }, requestId);
  }
}

export const gate = (context: HttpContext) => {
  const { http } = context.config;
  const match = makeRouteMatcher(ROUTES);
  const networks: Networks = {
    mayCall: http.ipAllowList === null ? () => true : makeAddressTest(http.ipAllowList),
    mayScrape: makeAddressTest(http.metricsAllow),
  };
  return new Elysia({ name: "gate" }).onRequest(async ({ request }) => {
    await pass(context, networks, match, request);
  });
};

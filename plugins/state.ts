/** What is known about a request, beside it: Elysia's own context is made anew for each hook of each plugin. */
import { RendiffError } from "../src/errors.ts";
import type { Principal } from "../src/security/principal.ts";
import { type TraceContext, toTraceparent } from "../src/telemetry/trace-context.ts";
import type { RouteRule } from "./route-rule.ts";

export interface RequestState {
  /** As the client sent it: the router sees GET where this is HEAD. */
  readonly method: string;
  readonly requestId: string;
  /** The request's own span; null where there is no trace. */
  readonly trace: TraceContext | null;
  /** The client's address, as far as TRUSTED_PROXIES lets us know it. */
  readonly address: string;
  readonly startedAtMs: number;
  /** Headers for the answer, whatever it will be. */
  readonly headers: Record<string, string>;
  rule: RouteRule | null;
  principal: Principal | null;
}

const states = new WeakMap<Request, RequestState>();

export function setState(request: Request, state: RequestState): void {
  states.set(request, state);
}

export function stateOf(request: Request): RequestState {
  const state = states.get(request);
  if (state === undefined) throw new RendiffError({ kind: "internal", publicMessage: "An internal error occurred." });
  return state;
}

/** Throws rather than lets a request through that no rule has authenticated. */
export function principalOf(request: Request): Principal {
  const { principal } = stateOf(request);
  if (principal === null)
    throw new RendiffError({ kind: "auth.missing", publicMessage: "This call needs an API key." });
  return principal;
}

/** What a job keeps of the request that made it. */
export function originOf(request: Request): { readonly requestId: string; readonly traceparent: string | null } {
  const { requestId, trace } = stateOf(request);
  return { requestId, traceparent: trace === null ? null : toTraceparent(trace) };
}

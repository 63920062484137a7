/**
 * What surrounds every request, whatever becomes of it: its id, the headers on its answer, its place in log and metrics.
 */
import { Elysia } from "elysia";
import { nowMs } from "../src/telemetry/tracer.ts";
import { type AddressTest, makeAddressTest } from "../src/validation/addresses.ts";
import { ALLOWED_HEADERS, corsHeaders, requestIdOf, SECURITY_HEADERS } from "./answer-headers.ts";
import { clientAddress } from "./client-address.ts";
import type { HttpContext } from "./context.ts";
import { answerThrown } from "./errors.ts";
import { peerOf, setPeer } from "./peers.ts";
import { type RequestState, setState, stateOf } from "./state.ts";

/** The answer to a browser's question whether it may ask; it carries no key, so it is answered before one is wanted. */
function preflight(request: Request): Response | null {
  if (request.method !== "OPTIONS" || request.headers.get("access-control-request-method") === null) return null;
  return new Response(null, {
    status: 204,
    headers: {
      "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
      "access-control-allow-headers": ALLOWED_HEADERS,
      "access-control-max-age": "600",
    },
  });
}

function beginState(context: HttpContext, request: Request, isTrusted: AddressTest): RequestState {
  const requestId = requestIdOf(request);
  const peer = peerOf(request)?.address ?? "127.0.0.1";
  return {
    method: request.method,
    requestId,
    trace: context.tracer.requestBegan(request.headers.get("traceparent")),
    address: clientAddress(peer, request.headers.get("x-forwarded-for"), isTrusted),
    startedAtMs: performance.now(),
    headers: { "x-request-id": requestId },
    rule: null,
    principal: null,
  };
}

/** Headers of the answer itself win: a file has a cache rule of its own, the docs page a content policy. */
function dress(response: Response, state: RequestState, cors: Readonly<Record<string, string>>): void {
  const { headers } = response;
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) if (!headers.has(name)) headers.set(name, value);
  for (const [name, value] of Object.entries(cors)) headers.set(name, value);
  for (const [name, value] of Object.entries(state.headers)) headers.set(name, value);
}

/**
 * HEAD is GET without the body, which nobody reads: the router's own HEAD would read it all to count its bytes, a whole
 * film for instance.
 */
async function answerHead(request: Request, handle: (request: Request) => Promise<Response>): Promise<Response> {
  const get = new Request(request, { method: "GET" });
  setState(get, stateOf(request));
  const peer = peerOf(request);
  if (peer !== null) setPeer(get, peer);
  const { status, headers, body } = await handle(get);
  await body?.cancel();
  return new Response(null, { status, headers });
}

/** What asks every few seconds how the service is would bury every other trace. */
const isWatch = (rule: RequestState["rule"]): boolean =>
  rule !== null && (rule.access === "metrics" || rule.tag === "System");

function record(context: HttpContext, request: Request, state: RequestState, response: Response): void {
  const seconds = (performance.now() - state.startedAtMs) / 1000;
  const route = state.rule?.id ?? "none";
  context.metrics.requestFinished({ method: request.method, route, status: response.status, seconds });
  const { requestId, trace } = state;
  if (trace !== null && !isWatch(state.rule)) {
    const path = state.rule === null ? "" : state.rule.path;
    const startedAtMs = nowMs() - seconds * 1000;
    context.tracer.requestEnded({
      ...{ trace, startedAtMs, method: request.method, route, path, status: response.status, requestId },
    });
  }
  const fields = {
    request_id: requestId,
    ...(trace === null ? {} : { trace_id: trace.traceId }),
    method: request.method,
    route,
    status: response.status,
    seconds: Number(seconds.toFixed(4)),
    key_id: state.principal?.keyId ?? null,
  };
  context.logger.debug(fields, "request");
}

export const outer = (context: HttpContext) => {
  const { http } = context.config;
  const origins = new Set(http.corsOrigins);
  const isTrusted = makeAddressTest(http.trustedProxies);
  return new Elysia({ name: "outer" }).wrap((inner) => async (request: Request) => {
    const handle = inner as unknown as (request: Request) => Promise<Response>;
    const state = beginState(context, request, isTrusted);
    setState(request, state);
    const cors = corsHeaders(origins, request);
    let response: Response;
    try {
      response =
        ("access-control-allow-origin" in cors ? preflight(request) : null) ??
        (await (request.method === "HEAD" ? answerHead(request, handle) : handle(request)));
    } catch (thrown) {
      response = answerThrown(context, request, thrown);
    }
    dress(response, state, cors);
    record(context, request, state, response);
    return response;
  });
};

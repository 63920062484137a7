/** `/jobs/{id}/events`, `/jobs/{id}/ws` and `/ws`: the same events by SSE and WebSocket. */
import { Elysia } from "elysia";
import { RendiffError } from "../../src/errors.ts";
import { getJob } from "../../src/jobs/store.ts";
import { maySeeJob, type Principal, visibleKey } from "../../src/security/principal.ts";
import { invalidRequest } from "../../src/validation/parse.ts";
import { notFound } from "../answers.ts";
import type { HttpContext } from "../context.ts";
import { requireJob } from "../jobs/jobs.ts";
import { peerOf } from "../peers.ts";
import { parseQuery } from "../query.ts";
import { API_PREFIX } from "../route-rule.ts";
import { principalOf, stateOf } from "../state.ts";
import { parseCommand } from "./command.ts";
import { eventsQuerySchema, socketQuerySchema } from "./events.routes.ts";
import { makeSocketData, SOCKET_STALL_MS, type SocketSessionOptions } from "./socket.ts";
import { type SseSource, sseBody, toSseText } from "./sse.ts";

/** Streams and sockets of all clients together; beyond it a client is asked to come back. */
const CONNECTIONS_MAX = 10_000;
/** Of one key, which must not be able to keep all others out. */
const CONNECTIONS_OF_KEY_MAX = 7_500;

export function requireRoom(
  { connections }: Pick<HttpContext, "connections">,
  { keyId }: Pick<Principal, "keyId">,
): void {
  if (connections.size < CONNECTIONS_MAX && connections.sizeOf(keyId) < CONNECTIONS_OF_KEY_MAX) return;
  throw new RendiffError({
    kind: "service.unavailable",
    publicMessage: "Too many clients follow events at the moment.",
    retryAfterSeconds: 30,
  });
}

function lastEventId(request: Request): number | null {
  const header = request.headers.get("last-event-id");
  if (header === null || header === "") return null;
  if (/^\d{1,15}$/.test(header)) return Number(header);
  throw invalidRequest([{ path: "Last-Event-ID", message: "must be the id of an event of this stream" }]);
}

async function stream(context: HttpContext, request: Request, jobId: string): Promise<Response> {
  const { after } = parseQuery(request, eventsQuerySchema);
  const job = await requireJob(context, request, jobId);
  requireRoom(context, principalOf(request));
  const events = await context.events.open(job.id, lastEventId(request) ?? after ?? 0);
  if (events === null) throw notFound("job");
  if (events.ended) {
    events.close();
    // A browser's EventSource connects again after every end, unless it is told that there is nothing more.
    return new Response(null, { status: 204 });
  }
  return sseAnswer(context, request, events, toSseText);
}

export function sseAnswer<Item extends object>(
  context: HttpContext,
  request: Request,
  source: SseSource<Item>,
  toText: (item: Item) => string,
): Response {
  const { keyId, expiresAt } = principalOf(request);
  const client = { keyId, expiresAt, signal: request.signal };
  return new Response(sseBody(source, toText, context.connections, client), {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      // A proxy that buffers would hold events back.
      "x-accel-buffering": "no",
    },
  });
}

function upgrade(context: HttpContext, request: Request, fixed: SocketSessionOptions["fixed"]): Response {
  const peer = peerOf(request);
  const principal = principalOf(request);
  requireRoom(context, principal);
  const keyId = visibleKey(principal);
  const data = makeSocketData({
    events: context.events,
    connections: context.connections,
    keyId: principal.keyId,
    expiresAt: principal.expiresAt,
    stallMs: SOCKET_STALL_MS,
    fixed,
    parse: parseCommand,
    async authorize(jobId) {
      const job = maySeeJob(principal, jobId) ? await getJob(context.sql, { jobId, keyId }) : null;
      return job?.id ?? null;
    },
    onError: (error) => context.logger.error({ err: error }, "a socket failed"),
  });
  const headers = { ...stateOf(request).headers };
  // The server writes its own answer to an upgrade and drops this one.
  if (peer?.server.upgrade(request, { data, headers }) === true) return new Response(null);
  throw new RendiffError({
    kind: "request.invalid",
    publicMessage: "This address takes WebSocket connections only.",
  });
}

export const events = (context: HttpContext) =>
  new Elysia({ name: "events", prefix: API_PREFIX })
    .get("/jobs/:id/events", ({ request, params }) => stream(context, request, params.id))
    .get("/jobs/:id/ws", async ({ request, params }) => {
      const { after } = parseQuery(request, socketQuerySchema);
      const job = await requireJob(context, request, params.id);
      return upgrade(context, request, { jobId: job.id, after: after ?? 0 });
    })
    .get("/ws", ({ request }) => upgrade(context, request, null));

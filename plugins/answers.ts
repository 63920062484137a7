/** What answers have in common. */
import { RendiffError } from "../src/errors.ts";
import type { HttpContext } from "./context.ts";
import { peerOf } from "./peers.ts";

/** To say that the time is up. */
const ANSWER_SECONDS = 5;

export function answer(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers });
}

/** The same of JSON that is text already. */
export function answerText(status: number, text: string, headers: Record<string, string>): Response {
  return new Response(text, { status, headers: { "content-type": JSON_TYPE, ...headers } });
}

export const JSON_TYPE = Response.json(null).headers.get("content-type") ?? "application/json";

export function notFound(what: string): RendiffError {
  return new RendiffError({ kind: "request.not_found", publicMessage: `There is no such ${what}.` });
}

export function conflict(message: string, cause?: unknown): RendiffError {
  return new RendiffError({ kind: "request.conflict", publicMessage: message, cause });
}

/**
 * What links begin with: PUBLIC_URL, else where this request was sent. A Host that is no host name is not repeated; a
 * wrong one only misleads the client that sent it.
 */
export function baseUrl(context: HttpContext, request: Request): string {
  const { publicUrl } = context.config.http;
  if (publicUrl !== null) return publicUrl.replace(/\/+$/, "");
  const { url } = request;
  return url.slice(0, url.indexOf("/", "https://".length));
}

/**
 * Runs what a worker answers. When the client leaves or the time is up the signal aborts; in the second case the client
 * is asked to come back.
 */
export async function withDeadline<T>(
  request: Request,
  timeoutMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // Nothing is sent meanwhile: the server would close the connection as one that is idle, and nobody would get the answer.
  peerOf(request)?.server.timeout(request, Math.ceil(timeoutMs / 1000) + ANSWER_SECONDS);
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    return await work(AbortSignal.any([request.signal, timeout]));
  } catch (error) {
    if (!timeout.aborted && !request.signal.aborted) throw error;
    throw new RendiffError({
      kind: "service.unavailable",
      publicMessage: "No worker answered in time.",
      retryAfterSeconds: 10,
      cause: error,
    });
  }
}

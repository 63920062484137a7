/** What answers have in common. */
import { RendiffError } from "../src/errors.ts";
import type { HttpContext } from "./context.ts";

export function answer(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return Response.json(body, { status, headers });
}

export function notFound(what: string): RendiffError {
  return new RendiffError({ kind: "request.not_found", publicMessage: `There is no such ${what}.` });
}

export function conflict(message: string): RendiffError {
  return new RendiffError({ kind: "request.conflict", publicMessage: message });
}

/**
 * What links begin with: PUBLIC_URL, else where this request was sent. A Host that is no host name is not repeated; a
 * wrong one only misleads the client that sent it.
 */
export function baseUrl(context: HttpContext, request: Request): string {
  const { publicUrl } = context.config.http;
  if (publicUrl !== null) return publicUrl.replace(/\/+$/, "");
  const { origin } = new URL(request.url);
  return origin;
}

/** An aborted request's signal, or a deadline, whichever comes first. */
export function deadline(request: Request, timeoutMs: number): AbortSignal {
  return AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)]);
}

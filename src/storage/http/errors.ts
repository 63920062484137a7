/** What servers and sockets say, in the domain's words. No address and no URL gets into a public message. */
import type { IncomingHttpHeaders } from "node:http";
import { RendiffError } from "../../errors.ts";
import { HeadersTimeout } from "../../security/outbound/guarded-request.ts";

const unavailable = (what: string, cause?: unknown): RendiffError =>
  new RendiffError({
    kind: "storage.unavailable",
    retry: "backoff",
    publicMessage: `The input's server ${what}.`,
    cause,
  });

export const changed = (): RendiffError =>
  new RendiffError({ kind: "input.changed", publicMessage: "The input changed while it was read." });

export const endedEarly = (missingBytes: number, cause?: unknown): RendiffError =>
  unavailable(`ended its answer ${missingBytes} bytes early`, cause);

export const stalled = (afterMs: number): RendiffError =>
  unavailable(`sent nothing for ${Math.ceil(afterMs / 1000)} seconds`);

export function readOnly(): never {
  throw new RendiffError({ kind: "request.unsupported", publicMessage: "Web addresses can be read, not written to." });
}

/** A status that is no object. */
export function statusError(status: number, headers: IncomingHttpHeaders): RendiffError {
  if (status === 401 || status === 403) {
    return new RendiffError({
      kind: "storage.denied",
      publicMessage: `The input's server denies access to it (status ${status}).`,
    });
  }
  if (status === 404 || status === 410) {
    return new RendiffError({ kind: "input.not_found", publicMessage: "There is no such input on its server." });
  }
  if (status === 206) return unavailable(`sent another part than was asked for`, headers["content-range"]);
  if (status >= 500 || status === 408 || status === 425 || status === 429) {
    return unavailable(`answered with status ${status}`);
  }
  return new RendiffError({
    kind: "input.unreadable",
    publicMessage: `The input's server answered with status ${status}.`,
  });
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/;

/** What the guard refused is the input's fault; what a socket says may pass. */
export function toHttpError(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof RendiffError) {
    if (error.kind !== "request.invalid") return error;
    return new RendiffError({ kind: "input.unreadable", publicMessage: error.publicMessage, cause: error });
  }
  if (error instanceof HeadersTimeout) return unavailable("did not answer in time", error);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (CERTIFICATE.test(code)) {
    return new RendiffError({
      kind: "input.unreadable",
      publicMessage: "The input's server has no valid certificate for its name.",
      cause: error,
    });
  }
  return unavailable("could not be reached", error);
}

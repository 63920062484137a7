/**
 * One HTTP request to a URL that a client named, through the guard: the socket goes to the address that was checked, TLS is
 * verified against the name in the URL, and no proxy, no credentials and no second look-up come in between.
 *
 * Redirects are followed only where the caller says how many, and each hop is checked like the first.
 */
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { type Destination, hostOf, refusedUrl, type UrlGuard } from "./url-guard.ts";

export interface GuardedRequest {
  readonly url: string;
  readonly method: "GET" | "HEAD" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Followed at most so many times; 0 hands a redirect back as the answer it is. */
  readonly redirectsMax: number;
  /** From the first byte sent to the answer's headers, for each hop. */
  readonly headersTimeoutMs: number;
  /** Ends the request and the reading of its body. */
  readonly signal: AbortSignal;
  /** Certificate authorities beside the system's, PEM. */
  readonly authorities?: readonly string[];
}

export interface GuardedResponse {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
  /** Must be read to its end or destroyed. */
  readonly body: IncomingMessage;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

type LookupCallback = (
  error: Error | null,
  address: string | { address: string; family: number }[],
  family?: number,
) => void;

/** Answers with what was checked, whatever it is asked for. */
const pinned =
  ({ addresses }: Destination) =>
  (_host: string, options: { readonly all?: boolean }, callback: LookupCallback): void => {
    const [first] = addresses;
    if (options.all === true) callback(null, [...addresses]);
    else if (first !== undefined) callback(null, first.address, first.family);
    else callback(new Error("no address"), "");
  };

export class HeadersTimeout extends Error {
  override readonly name = "HeadersTimeout";
}

function send(destination: Destination, request: GuardedRequest): Promise<IncomingMessage> {
  const { url } = destination;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const { host: _, ...headers } = request.headers;
  const client = url.protocol === "https:" ? https : http;
  const sent = client.request(
    {
      protocol: url.protocol,
      hostname: hostOf(url),
      port: url.port === "" ? undefined : url.port,
      path: `${url.pathname}${url.search}`,
      method: request.method,
      headers: { "accept-encoding": "identity", ...headers, host: url.host },
      lookup: pinned(destination) as never,
      // A connection of its own: one from a pool may go to an address that was checked for another request.
      agent: false,
      signal: request.signal,
      ...(request.authorities === undefined ? {} : { ca: [...request.authorities] }),
    },
    resolve,
  );
  const timer = setTimeout(() => {
    reject(new HeadersTimeout());
    sent.destroy();
  }, request.headersTimeoutMs);
  // Kept for good: a request that was given up may still report an error, which has nobody else to hear it.
  sent.on("error", reject);
  sent.end(request.body);
  return promise.finally(() => clearTimeout(timer));
}

/** Rejects with `request.invalid` where the guard refuses, else with the socket's own error. */
export async function guardedRequest(guard: UrlGuard, request: GuardedRequest): Promise<GuardedResponse> {
  let next = request.url;
  for (let left = request.redirectsMax; ; left--) {
    const destination = await guard.resolve(next, request.signal);
    const body = await send(destination, request);
    const { statusCode: status = 0, headers } = body;
    const { location } = headers;
    if (!REDIRECTS.has(status) || location === undefined || request.redirectsMax === 0) {
      return { status, headers, url: destination.url, body };
    }
    // Nothing of a redirect's body is wanted.
    body.on("error", () => {});
    body.destroy();
    if (left === 0) throw refusedUrl(`redirects more than ${request.redirectsMax} times`);
    const target = URL.canParse(location, destination.url.href) ? new URL(location, destination.url.href) : null;
    if (target === null) throw refusedUrl("redirects to what is no URL");
    if (destination.url.protocol === "https:" && target.protocol === "http:") {
      throw refusedUrl("redirects from https to http");
    }
    next = target.href;
  }
}

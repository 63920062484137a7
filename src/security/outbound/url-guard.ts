/**
 * The one door to addresses that clients name (webhooks, http inputs): a URL is taken apart once, its host is resolved
 * once, every address of the answer is checked, and the connection goes to an address that was checked. Nothing resolves
 * the name a second time, so a name server that changes its answer gains nothing.
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { RendiffError } from "../../errors.ts";
import { makeAddressTest } from "../../validation/addresses.ts";
import { isPublicAddress } from "./public-address.ts";

export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** All addresses of a host name. Rejects when there are none. */
export type ResolveHost = (hostname: string, signal: AbortSignal) => Promise<readonly string[]>;

export interface Destination {
  readonly url: URL;
  /** Never empty, each one checked. */
  readonly addresses: readonly ResolvedAddress[];
}

export interface UrlGuard {
  /**
   * What can be known without asking a name server: the form, the scheme, the port, no credentials, no forbidden address
   * written out. Throws `request.invalid`.
   */
  check(url: string): URL;
  /** `check`, then the host's addresses. Rejects with `request.invalid`, or `storage.unavailable` when the name has none. */
  resolve(url: string, signal: AbortSignal): Promise<Destination>;
}

export interface UrlGuardOptions {
  /** ALLOW_PRIVATE_NETWORKS: reachable although they are not public, on any port. */
  readonly allowNetworks: readonly string[];
  /** The system's own when absent. */
  readonly resolveHost?: ResolveHost;
}

const URL_LENGTH_MAX = 4096;
/** The web's ports and their usual alternatives: mail, databases and shells are not to be spoken to by HTTP. */
const PUBLIC_PORTS: ReadonlySet<number> = new Set([80, 443, 8000, 8080, 8443]);
const DEFAULT_PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };
const RESOLVE_TIMEOUT_MS = 10_000;

export const refusedUrl = (problem: string, cause?: unknown): RendiffError =>
  new RendiffError({ kind: "request.invalid", publicMessage: `The URL ${problem}.`, cause });

export const portOf = (url: URL): number => (url.port === "" ? (DEFAULT_PORTS[url.protocol] ?? 0) : Number(url.port));

/** Without the brackets of an IPv6 literal. */
export const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, "$1");

async function systemResolve(hostname: string): Promise<readonly string[]> {
  const found = await lookup(hostname, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}

function parseUrl(text: string): URL {
  if (text.length > URL_LENGTH_MAX) throw refusedUrl(`is longer than ${URL_LENGTH_MAX} characters`);
  // The parser drops tabs and line breaks and trims; what then is another URL than the one that was written is refused.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\x00-\x20\x7f\\]/.test(text)) throw refusedUrl("has a space, a control character or a backslash: escape it");
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw refusedUrl("is not well-formed");
  if (!(url.protocol in DEFAULT_PORTS)) throw refusedUrl("must begin with http:// or https://");
  if (url.username !== "" || url.password !== "") throw refusedUrl("holds credentials, which are refused");
  if (url.hostname === "") throw refusedUrl("names no host");
  if (portOf(url) === 0) throw refusedUrl("names port 0");
  url.hash = "";
  return url;
}

/** Settles when `work` does, or rejects with the signal's reason: a resolver cannot be told to stop. */
async function within<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

export function makeUrlGuard({ allowNetworks, resolveHost = systemResolve }: UrlGuardOptions): UrlGuard {
  const isAllowed = makeAddressTest(allowNetworks);

  function requireReachable(address: string, port: number): void {
    // A zone would choose the interface; no network says anything of it.
    if (!address.includes("%") && isAllowed(address)) return;
    // The address is not repeated: what a private name stands for is not the caller's to learn.
    if (!isPublicAddress(address)) throw refusedUrl("leads to an address that is not on the public internet");
    if (!PUBLIC_PORTS.has(port)) {
      throw refusedUrl(`names port ${port}; only ${[...PUBLIC_PORTS].join(", ")} can be reached`);
    }
  }

  function check(text: string): URL {
    const url = parseUrl(text);
    if (isIP(hostOf(url)) !== 0) requireReachable(hostOf(url), portOf(url));
    return url;
  }

  async function addressesOf(host: string, signal: AbortSignal): Promise<readonly string[]> {
    if (isIP(host) !== 0) return [host];
    const deadline = AbortSignal.timeout(RESOLVE_TIMEOUT_MS);
    try {
      const found = await within(resolveHost(host, signal), AbortSignal.any([signal, deadline]));
      if (found.length > 0) return found;
    } catch (cause) {
      signal.throwIfAborted();
      throw unresolved(cause);
    }
    throw unresolved(null);
  }

  return {
    check,
    async resolve(text, signal) {
      const url = check(text);
      const found = await addressesOf(hostOf(url), signal);
      for (const address of found) requireReachable(address, portOf(url));
      return { url, addresses: found.map((address) => ({ address, family: isIP(address) === 6 ? 6 : 4 })) };
    },
  };
}

const unresolved = (cause: unknown): RendiffError =>
  new RendiffError({
    kind: "storage.unavailable",
    retry: "backoff",
    publicMessage: "The URL's host name has no address.",
    cause,
  });

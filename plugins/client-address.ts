/** Whose request it is, by address: what a proxy says counts only when the proxy is one of TRUSTED_PROXIES. */
import ipaddr from "ipaddr.js";
import { type AddressTest, parseAddress } from "../src/validation/addresses.ts";

/**
 * The nearest address that is not a trusted proxy's. `X-Forwarded-For` is read from its end: what stands before the
 * first untrusted address was written by the client itself and proves nothing.
 */
export function clientAddress(peer: string, forwardedFor: string | null, isTrusted: AddressTest): string {
  let address = parseAddress(peer)?.toString() ?? peer;
  if (forwardedFor === null) return address;
  const hops = forwardedFor.split(",").map((hop) => hop.trim());
  while (isTrusted(address)) {
    const hop = hops.pop();
    if (hop === undefined) return address;
    const next = parseAddress(hop.replace(/^\[(.*)\](?::\d+)?$/, "$1").replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1"));
    // A proxy that we trust wrote nonsense: then its own address is the best we know.
    if (next === null) return address;
    address = next.toString();
  }
  return address;
}

/** What a limit per address counts: a whole /64, since an IPv6 client has at least that many addresses to itself. */
export function addressBucket(address: string): string {
  const whole = parseAddress(address);
  if (!(whole instanceof ipaddr.IPv6)) return address;
  return `${whole.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(":")}::/64`;
}

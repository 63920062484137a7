/** Whose request it is, by address: what a proxy says counts only when the proxy is one of TRUSTED_PROXIES. */
import ipaddr from "ipaddr.js";
import type { Network } from "../src/config/config.ts";

export type AddressTest = (address: string) => boolean;

type Address = ipaddr.IPv4 | ipaddr.IPv6;

const PARSED_MAX = 10_000;
const parsed = new Map<string, Address | null>();

/**
 * IPv4 in IPv6's clothes (`::ffff:1.2.3.4`) is IPv4. Null when it is no address. Remembered, because each request asks
 * several times for the same few.
 */
function parse(text: string): Address | null {
  let address = parsed.get(text);
  if (address === undefined) {
    address = ipaddr.isValid(text) ? ipaddr.process(text) : null;
    if (parsed.size >= PARSED_MAX) parsed.clear();
    if (text.length < 64) parsed.set(text, address);
  }
  return address;
}

/** Throws on what is no network: the configuration has checked them. */
export function makeAddressTest(networks: readonly Network[]): AddressTest {
  const ranges = networks.map((network) => ipaddr.parseCIDR(network));
  return (address) => {
    const asked = parse(address);
    if (asked === null) return false;
    return ranges.some(([range, bits]) => asked.kind() === range.kind() && asked.match(range, bits));
  };
}

/**
 * The nearest address that is not a trusted proxy's. `X-Forwarded-For` is read from its end: what stands before the
 * first untrusted address was written by the client itself and proves nothing.
 */
export function clientAddress(peer: string, forwardedFor: string | null, isTrusted: AddressTest): string {
  let address = parse(peer)?.toString() ?? peer;
  if (forwardedFor === null) return address;
  const hops = forwardedFor.split(",").map((hop) => hop.trim());
  while (isTrusted(address)) {
    const hop = hops.pop();
    if (hop === undefined) return address;
    const next = parse(hop.replace(/^\[(.*)\](?::\d+)?$/, "$1").replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, "$1"));
    // A proxy that we trust wrote nonsense: then its own address is the best we know.
    if (next === null) return address;
    address = next.toString();
  }
  return address;
}

/** What a limit per address counts: a whole /64, since an IPv6 client has at least that many addresses to itself. */
export function addressBucket(address: string): string {
  const whole = parse(address);
  if (!(whole instanceof ipaddr.IPv6)) return address;
  return `${whole.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(":")}::/64`;
}

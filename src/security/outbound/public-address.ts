/**
 * Which addresses are the public internet's. What is not known to be public is not: a new special range, a form that
 * carries another address inside it and a name that no resolver should give are all refused.
 *
 * Sources: IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890 and what came after), and the addresses at which
 * cloud platforms serve credentials to whatever runs there.
 */
import { parseAddress, type Range, toRange, within } from "../../validation/addresses.ts";

const NOT_PUBLIC_4: readonly Range[] = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  // Azure's host, which answers virtual machines on a public address.
  "168.63.129.16/32",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.31.196.0/24",
  "192.52.193.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "192.175.48.0/24",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
].map(toRange);

/** All that is global unicast; mapped, NAT64 (64:ff9b::), unique local, link-local and multicast lie outside. */
const GLOBAL_6 = toRange("2000::/3");
const NOT_PUBLIC_6: readonly Range[] = [
  // Teredo, ORCHID and the other protocol assignments.
  "2001::/23",
  "2001:db8::/32",
  // 6to4 carries an IPv4 address.
  "2002::/16",
  "2620:4f:8000::/48",
  "3fff::/20",
].map(toRange);

export function isPublicAddress(text: string): boolean {
  // An address with a zone is this machine's to understand, and no public one.
  const address = text.includes("%") ? null : parseAddress(text);
  if (address === null) return false;
  if (address.kind() === "ipv4") return !NOT_PUBLIC_4.some((range) => within(address, range));
  return within(address, GLOBAL_6) && !NOT_PUBLIC_6.some((range) => within(address, range));
}

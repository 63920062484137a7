/** Networks as configuration writes them. */
import ipaddr from "ipaddr.js";
import type { Network } from "./config.ts";

const LOOPBACK: readonly Network[] = ["127.0.0.0/8", "::1/128"];
const PRIVATE: readonly Network[] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];
const ALL: readonly Network[] = ["0.0.0.0/0", "::/0"];

/** Words that stand for networks everybody knows. */
export const NETWORK_WORDS: Readonly<Record<string, readonly Network[]>> = {
  loopback: LOOPBACK,
  private: PRIVATE,
  all: ALL,
};

/** `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`, normalised; null when it is none. */
export function parseNetwork(text: string): Network | null {
  const [address = "", bitsText, ...rest] = text.split("/");
  // The library also reads `10.1`, octal and hexadecimal forms, and zones: each a way to mean something else.
  const isFour = ipaddr.IPv4.isValidFourPartDecimal(address);
  const isSix = address.includes(":") && !address.includes("%") && ipaddr.IPv6.isValid(address);
  if (rest.length > 0 || !(isFour || isSix)) return null;
  if (bitsText !== undefined && !/^\d{1,3}$/.test(bitsText)) return null;
  const width = isFour ? 32 : 128;
  const bits = bitsText === undefined ? width : Number(bitsText);
  if (bits > width) return null;
  const parsed = ipaddr.parse(address);
  if (parsed instanceof ipaddr.IPv6 && parsed.isIPv4MappedAddress() && bits >= 96) {
    return clearHostBits(parsed.toIPv4Address(), bits - 96);
  }
  return clearHostBits(parsed, bits);
}

function clearHostBits(address: ipaddr.IPv4 | ipaddr.IPv6, bits: number): Network {
  const bytes = address.toByteArray().map((byte, index) => {
    const kept = Math.min(8, Math.max(0, bits - index * 8));
    return byte & (0xff00 >> kept) & 0xff;
  });
  return `${ipaddr.fromByteArray(bytes).toString()}/${bits}`;
}

/** True for an address (or `localhost`) that only this machine can reach. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  if (bare === "localhost") return true;
  return ipaddr.isValid(bare) && ipaddr.process(bare).range() === "loopback";
}

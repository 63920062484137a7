/** Addresses and networks as texts: read once, whoever asks. */
import ipaddr from "ipaddr.js";

export type Address = ipaddr.IPv4 | ipaddr.IPv6;
export type Range = readonly [Address, number];

const PARSED_MAX = 10_000;
const TEXT_LENGTH_MAX = 64;
const parsed = new Map<string, Address | null>();

/**
 * IPv4 in IPv6's clothes (`::ffff:1.2.3.4`) is IPv4. Null when it is no address. Remembered, because each request asks
 * several times for the same few.
 */
export function parseAddress(text: string): Address | null {
  let address = parsed.get(text);
  if (address === undefined) {
    address = ipaddr.isValid(text) ? ipaddr.process(text) : null;
    if (parsed.size >= PARSED_MAX) parsed.clear();
    if (text.length < TEXT_LENGTH_MAX) parsed.set(text, address);
  }
  return address;
}

/** Throws on what is no network (`address/bits`): the configuration has checked its own. */
export const toRange = (network: string): Range => ipaddr.parseCIDR(network);

export const within = (address: Address, [range, bits]: Range): boolean =>
  address.kind() === range.kind() && address.match(range, bits);

export type AddressTest = (address: string) => boolean;

/** Whether a text is an address in one of `networks`. */
export function makeAddressTest(networks: readonly string[]): AddressTest {
  const ranges = networks.map(toRange);
  return (text) => {
    const address = parseAddress(text);
    return address !== null && ranges.some((range) => within(address, range));
  };
}

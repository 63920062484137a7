import { expect, test } from "bun:test";
import { makeAddressTest } from "../src/validation/addresses.ts";
import { addressBucket, clientAddress } from "./client-address.ts";

const proxies = makeAddressTest(["10.0.0.0/8", "::1/128"]);

test("what a proxy says counts only when the proxy is trusted", () => {
  expect(clientAddress("203.0.113.9", "1.2.3.4", proxies)).toBe("203.0.113.9");
  expect(clientAddress("10.0.0.1", "1.2.3.4", proxies)).toBe("1.2.3.4");
  expect(clientAddress("::ffff:10.0.0.1", "1.2.3.4", proxies)).toBe("1.2.3.4");
  expect(clientAddress("10.0.0.1", null, proxies)).toBe("10.0.0.1");
});

test("a client cannot put itself somewhere else by writing the header itself", () => {
  expect(clientAddress("10.0.0.1", "127.0.0.1, 203.0.113.9", proxies)).toBe("203.0.113.9");
  expect(clientAddress("10.0.0.1", "6.6.6.6, 203.0.113.9, 10.0.0.2", proxies)).toBe("203.0.113.9");
  expect(clientAddress("10.0.0.1", "10.0.0.3, 10.0.0.2", proxies)).toBe("10.0.0.3");
});

test("ports and brackets are no part of an address, nonsense is none", () => {
  expect(clientAddress("::1", "[2001:db8::1]:443", proxies)).toBe("2001:db8::1");
  expect(clientAddress("10.0.0.1", "1.2.3.4:555", proxies)).toBe("1.2.3.4");
  expect(clientAddress("10.0.0.1", "1.2.3.4, <script>", proxies)).toBe("10.0.0.1");
});

test("networks of one family never hold an address of the other", () => {
  const all4 = makeAddressTest(["0.0.0.0/0"]);
  expect(all4("1.2.3.4")).toBe(true);
  expect(all4("::ffff:1.2.3.4")).toBe(true);
  expect(all4("2001:db8::1")).toBe(false);
  expect(all4("nonsense")).toBe(false);
});

test("a limit counts a whole /64 of IPv6 and one address of IPv4", () => {
  expect(addressBucket("203.0.113.9")).toBe("203.0.113.9");
  expect(addressBucket("2001:db8:1:2:3::4")).toBe(addressBucket("2001:db8:1:2::9"));
  expect(addressBucket("2001:db8:1:2::9")).not.toBe(addressBucket("2001:db8:1:3::9"));
});

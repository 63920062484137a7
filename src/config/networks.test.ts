import { describe, expect, test } from "bun:test";
import { isLoopbackHost, parseNetwork } from "./networks.ts";

describe("parseNetwork", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["192.0.2.7", "192.0.2.7/32"],
    ["192.0.2.255/25", "192.0.2.128/25"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["2001:DB8::1", "2001:db8::1/128"],
    ["fd12:3456:789a:ffff::/49", "fd12:3456:789a:8000::/49"],
    ["::/0", "::/0"],
    ["::ffff:10.1.2.3/104", "10.0.0.0/8"],
    ["::ffff:10.1.2.3", "10.1.2.3/32"],
  ])("%s is %s", (text, wanted) => {
    expect(parseNetwork(text)).toBe(wanted);
  });

  test.each([
    "",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10.0.0.0/-1",
    "10.1/16",
    "010.0.0.1",
    "0x0a.0.0.1",
    "256.0.0.1",
    "fe80::1%eth0",
    "::/129",
    "localhost",
    "10",
  ])("%p is none", (text) => {
    expect(parseNetwork(text)).toBeNull();
  });
});

test.each([
  ["127.0.0.1", true],
  ["127.8.9.10", true],
  ["::1", true],
  ["[::1]", true],
  ["::ffff:127.0.0.1", true],
  ["localhost", true],
  ["0.0.0.0", false],
  ["::", false],
  ["192.168.0.1", false],
  ["localhost.example.com", false],
])("isLoopbackHost(%p) is %p", (host, wanted) => {
  expect(isLoopbackHost(host)).toBe(wanted);
});

import { expect, test } from "bun:test";
import { makeAddressTest } from "../../validation/addresses.ts";
import { isPublicAddress } from "./public-address.ts";

const PUBLIC = [
  ...["1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1"],
  ...["192.167.255.255", "198.17.255.255", "198.20.0.1", "223.255.255.255", "11.0.0.1", "128.0.0.1"],
  ...["2606:4700::1111", "2a00:1450:4001:830::200e", "2001:200::1", "2003::1", "::ffff:8.8.8.8"],
];

const NOT_PUBLIC = [
  ...["0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254"],
  ...["168.63.129.16", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192"],
  ...["192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"],
  ...["224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"],
  ...["::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe"],
  ...["64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2001:10::1"],
  ...["2002:7f00:1::", "2002:0a00:0001::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1"],
  ...["ff02::1", "fe80::1%lo", "4000::1", "", "localhost", "127.1", "1.2.3.4.5"],
];

test("what is public, and what is not", () => {
  for (const address of PUBLIC) expect([address, isPublicAddress(address)]).toEqual([address, true]);
  for (const address of NOT_PUBLIC) expect([address, isPublicAddress(address)]).toEqual([address, false]);
});

test("networks are matched by what an address is, not by how it is written", () => {
  const isIn = makeAddressTest(["10.0.0.0/8", "fd00::/8"]);
  for (const address of ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1"])
    expect([address, isIn(address)]).toEqual([address, true]);
  for (const address of ["11.0.0.1", "fe80::1", "64:ff9b::10.0.0.1", "x"])
    expect([address, isIn(address)]).toEqual([address, false]);
});

/** Inputs from the web: every byte or a classified error, whatever the server does. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { makeUrlGuard } from "../../src/security/outbound/url-guard.ts";
import { openHttpBackend } from "../../src/storage/http/http-backend.ts";
import type { OpenOptions } from "../../src/storage/port.ts";
import { startWebServer, type WebServer } from "../support/web-server.ts";

const bytes = new Uint8Array(300_000).map((_, index) => (index * 7 + (index >> 8)) & 0xff);
const guard = makeUrlGuard({ allowNetworks: ["127.0.0.1/32"] });
const backend = openHttpBackend({ name: "http", guard, stallTimeoutMs: 500 });
let web: WebServer;

beforeAll(async () => {
  web = await startWebServer();
});
afterAll(() => web[Symbol.asyncDispose]());

const key = (path: string): string => `${web.url}${path}`.replace("http://", "");

async function read(path: string, options: OpenOptions = {}): Promise<Uint8Array> {
  const { stream } = await backend.open(key(path), options);
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

test("what a server says of an object", async () => {
  web.put("/a", { bytes, etag: '"one"' });
  expect(await backend.stat(key("/a"))).toMatchObject({ sizeBytes: 300_000, identity: '"one"' });
  web.put("/plain", { bytes, etag: null, noRanges: true });
  expect(await backend.stat(key("/plain"))).toMatchObject({ sizeBytes: 300_000, identity: ";300000", ranges: false });
  web.put("/empty", { bytes: new Uint8Array(0) });
  expect(await backend.stat(key("/empty"))).toMatchObject({ sizeBytes: 0 });
  expect(await backend.stat(key("/none"))).toBeNull();
  web.put("/chunked", { bytes, noRanges: true, noLength: true });
  await expect(backend.stat(key("/chunked"))).rejects.toMatchObject({ kind: "input.unsupported" });
  for (const [status, kind, retry] of [
    [401, "storage.denied", "never"],
    [403, "storage.denied", "never"],
    [400, "input.unreadable", "never"],
    [429, "storage.unavailable", "backoff"],
    [500, "storage.unavailable", "backoff"],
    [503, "storage.unavailable", "backoff"],
  ] as const) {
    web.put("/status", { bytes, status });
    await expect(backend.stat(key("/status"))).rejects.toMatchObject({ kind, retry });
    await expect(backend.open(key("/status"))).rejects.toMatchObject({ kind, retry });
  }
});

test("the whole and every kind of part, also from a server that knows no parts", async () => {
  for (const noRanges of [false, true]) {
    web.put("/r", { bytes, noRanges });
    expect(await read("/r")).toEqual(bytes);
    for (const [startByte = 0, endByte = 0] of [
      [0, 1],
      [1, 2],
      [100, 70_000],
      [299_999, 300_000],
      [299_990, 400_000],
      [0, 300_000],
    ]) {
      expect(await read("/r", { startByte, endByte })).toEqual(bytes.slice(startByte, endByte));
    }
    expect(await read("/r", { startByte: 250_000 })).toEqual(bytes.slice(250_000));
  }
});

test("an answer that ends early is an error that can be retried, never a short object", async () => {
  for (const noRanges of [false, true]) {
    for (const afterBytes of [0, 1, 65_536, 100_000, 299_999]) {
      web.put("/cut", { bytes, noRanges, cut: { afterBytes, times: 1 } });
      await expect(read("/cut")).rejects.toMatchObject({ kind: "storage.unavailable", retry: "backoff" });
    }
  }
  web.put("/lie", { bytes, lieBytes: 10 });
  await expect(read("/lie")).rejects.toMatchObject({ kind: "storage.unavailable" });
});

test("an object that changes is noticed, by its tag or by its length", async () => {
  web.put("/c", { bytes, etag: '"one"' });
  const { identity } = (await backend.stat(key("/c"))) ?? { identity: "" };
  web.put("/c", { bytes: bytes.slice(0, 200_000), etag: '"two"' });
  await expect(read("/c", { ifIdentity: identity, startByte: 10 })).rejects.toMatchObject({ kind: "input.changed" });
  await expect(read("/c", { ifIdentity: identity, startByte: 250_000 })).rejects.toMatchObject({
    kind: "input.changed",
  });
  web.put("/d", { bytes, etag: null });
  const old = (await backend.stat(key("/d"))) ?? { identity: "" };
  web.put("/d", { bytes: bytes.slice(1), etag: null });
  await expect(read("/d", { ifIdentity: old.identity })).rejects.toMatchObject({ kind: "input.changed" });
});

test("silence is given up, and an abort ends a read", async () => {
  web.put("/silent", { bytes, silent: true });
  await expect(read("/silent")).rejects.toMatchObject({ kind: "storage.unavailable" });
  const stopping = new AbortController();
  const reading = read("/silent", { signal: stopping.signal });
  stopping.abort(new Error("stop"));
  await expect(reading).rejects.toThrow("stop");
});

test("redirects are followed where the guard lets them, and refused where it does not", async () => {
  web.put("/target", { bytes });
  web.put("/moved", { bytes, redirect: "/target?signed=1" });
  expect(await read("/moved", { startByte: 5, endByte: 9 })).toEqual(bytes.slice(5, 9));
  web.put("/inside", { bytes, redirect: "http://169.254.169.254/latest/meta-data/" });
  await expect(read("/inside")).rejects.toMatchObject({ kind: "input.unreadable" });
  web.put("/loop", { bytes, redirect: "/loop" });
  await expect(read("/loop")).rejects.toMatchObject({ kind: "input.unreadable" });
  expect(() => backend.checkKey?.("169.254.169.254/x")).toThrow("not on the public internet");
  expect(() => backend.checkKey?.("user:secret@example.com/x")).toThrow("credentials");
});

test("a reader that is slow holds the server back, not the memory", async () => {
  const large = new Uint8Array(64 * 1024 * 1024);
  web.put("/large", { bytes: large });
  const before = web.requests.length;
  const { stream } = await backend.open(key("/large"));
  const reader = stream.getReader();
  await reader.read();
  // Time enough for a server that nobody holds back: it has sent as much to another meanwhile.
  expect((await read("/large")).length).toBe(large.length);
  expect(web.requests[before]?.sentBytes).toBeLessThan(24 * 1024 * 1024);
  await reader.cancel();
});

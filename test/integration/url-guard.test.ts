/** The guard against real sockets: a canary listens on every address of this machine and must never hear anything. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { guardedRequest } from "../../src/security/outbound/guarded-request.ts";
import { makeUrlGuard, type ResolveHost } from "../../src/security/outbound/url-guard.ts";
import { certificateFor } from "../support/certificate.ts";
import { startNameServer } from "../support/name-server.ts";

let canary: Server;
let canaryPort = 0;
let connections = 0;

beforeAll(async () => {
  canary = createServer((socket) => {
    connections += 1;
    socket.resume();
    socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  });
  await new Promise<void>((resolve) => canary.listen({ port: 0, host: "::" }, resolve));
  canaryPort = (canary.address() as { port: number }).port;
});
afterAll(() => new Promise<void>((resolve) => void canary.close(() => resolve())));

const get = (guard: ReturnType<typeof makeUrlGuard>, url: string, redirectsMax = 0) =>
  guardedRequest(guard, {
    ...{ url, method: "GET", headers: {}, redirectsMax, headersTimeoutMs: 5_000 },
    signal: AbortSignal.timeout(10_000),
  });

async function drained(answer: Promise<Awaited<ReturnType<typeof guardedRequest>>>): Promise<number> {
  const { status, body } = await answer;
  body.resume();
  return status;
}

/** Addresses of what must not be reached, in the ways that a URL can write them. */
function hosts(): string[] {
  const v4 = ["127.0.0.1", "127.1.2.3", "127.255.255.254", "0.0.0.0", "10.0.0.1", "10.255.255.255", "172.16.0.1"];
  v4.push("172.31.255.255", "192.168.0.1", "192.168.255.255", "169.254.169.254", "169.254.170.2", "100.64.0.1");
  v4.push("100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255");
  const numbers = v4.map((address) => address.split(".").map(Number));
  const whole = (parts: readonly number[]): number => parts.reduce((sum, part) => sum * 256 + part, 0);
  const hex = (part: number): string => part.toString(16).padStart(2, "0");
  const groups = ([a = 0, b = 0, c = 0, d = 0]: readonly number[]): string => `${hex(a)}${hex(b)}:${hex(c)}${hex(d)}`;
  return [
    ...v4,
    ...numbers.map((parts) => String(whole(parts))),
    ...numbers.map((parts) => `0x${whole(parts).toString(16)}`),
    ...numbers.map((parts) => parts.map((part) => `0${part.toString(8)}`).join(".")),
    ...numbers.map((parts) => parts.map((part) => `0x${hex(part)}`).join(".")),
    ...v4.map((address) => `[::ffff:${address}]`),
    ...numbers.map((parts) => `[64:ff9b::${groups(parts)}]`),
    ...numbers.map((parts) => `[2002:${groups(parts)}::1]`),
    ...v4.map((address) => `[::${address}]`),
    ...v4.map((address) => `${address}.`),
    ...["127.1", "127.0.1", "0", "0x7f.1", "017700000001", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[fe80::1]"],
    ...["[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]", "[::ffff:0:127.0.0.1]", "[64:ff9b:1::7f00:1]"],
    ...["localhost", "LOCALHOST", "localhost.", "①②⑦.⓪.⓪.①", "127。0。0。1", "%31%32%37.0.0.1", "127.0.0.1%2e"],
  ];
}

/** Whole URLs whose parts are made to be read in two ways. */
const CONFUSED = (port: number): string[] => [
  `http://example.com@127.0.0.1:${port}/`,
  `http://user:password@127.0.0.1:${port}/`,
  `http://127.0.0.1:${port}#@example.com/`,
  `http://127.0.0.1:${port}\\@example.com/`,
  `http://example.com\\@127.0.0.1:${port}/`,
  `http:127.0.0.1:${port}/`,
  `http:///127.0.0.1:${port}/`,
  `http:\\\\127.0.0.1:${port}/`,
  `//127.0.0.1:${port}/`,
  `http://127.0.0.1:${port}\t/`,
  `ht\ntp://127.0.0.1:${port}/`,
  ` http://127.0.0.1:${port}/`,
  `file:///etc/passwd`,
  `ftp://127.0.0.1:${port}/`,
  `gopher://127.0.0.1:${port}/_x`,
  `data:text/plain,x`,
  `unix:/var/run/docker.sock`,
  `ws://127.0.0.1:${port}/`,
  `javascript:alert(1)`,
  `http://[::1%25lo]:${port}/`,
  `http://[::ffff:127.0.0.1%25lo]:${port}/`,
  `http://127.0.0.1:0/`,
  `http://:${port}/`,
  "http://",
  "",
];

test("200 and more ways to write a forbidden address: none of them is connected to", async () => {
  const guard = makeUrlGuard({ allowNetworks: [] });
  const vectors = [...hosts().map((host) => `http://${host}:${canaryPort}/`), ...CONFUSED(canaryPort)];
  expect(vectors.length).toBeGreaterThanOrEqual(200);
  const results = await Promise.allSettled(vectors.map((url) => get(guard, url)));
  const accepted = vectors.filter((_, index) => results[index]?.status === "fulfilled");
  expect(accepted).toEqual([]);
  for (const result of results) if (result.status === "rejected") expect(result.reason.name).toBe("RendiffError");
  expect(connections).toBe(0);
});

test("the canary hears what is allowed", async () => {
  const before = connections;
  const guard = makeUrlGuard({ allowNetworks: ["127.0.0.1/32", "::1/128"] });
  expect(await drained(get(guard, `http://127.0.0.1:${canaryPort}/`))).toBe(200);
  expect(await drained(get(guard, `http://[::1]:${canaryPort}/`))).toBe(200);
  expect(connections).toBe(before + 2);
});

test("a name is as good as the worst of its addresses", async () => {
  const before = connections;
  const names = await startNameServer({
    "private.test": [["127.0.0.1"]],
    "mixed.test": [["93.184.216.34", "127.0.0.1"]],
    "metadata.test": [["169.254.169.254"]],
  });
  const guard = makeUrlGuard({ allowNetworks: [], resolveHost: names.resolve });
  for (const name of ["private.test", "mixed.test", "metadata.test"]) {
    await expect(get(guard, `http://${name}:${canaryPort}/`)).rejects.toMatchObject({ kind: "request.invalid" });
  }
  await expect(get(guard, `http://nowhere.test:${canaryPort}/`)).rejects.toMatchObject({ kind: "storage.unavailable" });
  expect(connections).toBe(before);
  await names.close();
});

test("a name that rebinds after it was checked gains nothing: it is asked for once, and that address is connected to", async () => {
  const hits: string[] = [];
  using allowed = Bun.serve({
    hostname: "127.9.9.9",
    port: 0,
    fetch: (request) => {
      hits.push(request.headers.get("host") ?? "");
      return new Response("here");
    },
  });
  let wrong = 0;
  using _second = Bun.serve({
    hostname: "127.0.0.1",
    port: allowed.port ?? 0,
    fetch() {
      wrong += 1;
      return new Response("there");
    },
  });
  const names = await startNameServer({ "rebind.test": [["127.9.9.9"], ["127.0.0.1"]] });
  const guard = makeUrlGuard({ allowNetworks: ["127.9.9.9/32"], resolveHost: names.resolve });
  const url = `http://rebind.test:${allowed.port}/`;
  expect(await drained(get(guard, url))).toBe(200);
  expect(names.queries()).toBe(1);
  expect(hits).toEqual([`rebind.test:${allowed.port}`]);
  await expect(get(guard, url)).rejects.toMatchObject({ kind: "request.invalid" });
  expect(wrong).toBe(0);
  await names.close();
});

test("each redirect is checked like the first request, and followed only where that is asked for", async () => {
  const before = connections;
  const targets = [...hosts().map((host) => `http://${host}:${canaryPort}/`), ...CONFUSED(canaryPort).slice(0, 19)];
  using redirector = Bun.serve({
    hostname: "127.9.9.9",
    port: 0,
    fetch(request) {
      const asked = new URL(request.url);
      if (asked.pathname === "/end") return new Response("end");
      const to = asked.pathname === "/loop" ? "/loop" : (targets[Number(asked.searchParams.get("to"))] ?? "/end");
      // A header holds Latin-1 and no line breaks; what else a vector has is sent as its escape.
      return new Response(null, { status: 302, headers: { location: encodeURI(to.trim()).replaceAll("%25", "%") } });
    },
  });
  const base = `http://127.9.9.9:${redirector.port}`;
  const guard = makeUrlGuard({ allowNetworks: ["127.9.9.9/32"] });
  const results = await Promise.allSettled(targets.map((_, index) => get(guard, `${base}/?to=${index}`, 3)));
  for (const [index, result] of results.entries()) {
    // What a vector makes of itself when it is read as a relative path stays on the redirecting host.
    if (result.status === "rejected") continue;
    expect([targets[index], result.value.url.origin]).toEqual([targets[index], base]);
    result.value.body.destroy();
  }
  await expect(get(guard, `${base}/loop`, 3)).rejects.toMatchObject({ kind: "request.invalid" });
  expect(await drained(get(guard, `${base}/?to=-1`, 3))).toBe(200);
  expect(await drained(get(guard, `${base}/?to=0`))).toBe(302);
  expect(connections).toBe(before);
});

test("TLS is verified against the name in the URL, though the connection goes to an address", async () => {
  const { key, cert } = await certificateFor("right.test");
  using server = Bun.serve({ hostname: "127.9.9.9", port: 0, tls: { key, cert }, fetch: () => new Response("secure") });
  const resolveHost: ResolveHost = async () => ["127.9.9.9"];
  const guard = makeUrlGuard({ allowNetworks: ["127.9.9.9/32"], resolveHost });
  const ask = (name: string) =>
    guardedRequest(guard, {
      ...{
        url: `https://${name}:${server.port}/`,
        method: "GET",
        headers: {},
        redirectsMax: 0,
        headersTimeoutMs: 5_000,
      },
      ...{ signal: AbortSignal.timeout(10_000), authorities: [cert] },
    });
  expect(await drained(ask("right.test"))).toBe(200);
  await expect(ask("wrong.test")).rejects.toMatchObject({ code: "ERR_TLS_CERT_ALTNAME_INVALID" });
});

test("a server that never answers is given up, and so is one that is no longer wanted", async () => {
  const sockets = createServer((socket) => socket.resume());
  await new Promise<void>((resolve) => sockets.listen({ port: 0, host: "127.9.9.9" }, resolve));
  const url = `http://127.9.9.9:${(sockets.address() as { port: number }).port}/`;
  const guard = makeUrlGuard({ allowNetworks: ["127.9.9.9/32"] });
  const request = { url, method: "GET", headers: {}, redirectsMax: 0 } as const;
  const given = guardedRequest(guard, { ...request, headersTimeoutMs: 100, signal: AbortSignal.timeout(10_000) });
  await expect(given).rejects.toMatchObject({ name: "HeadersTimeout" });
  const stopping = new AbortController();
  const stopped = guardedRequest(guard, { ...request, headersTimeoutMs: 10_000, signal: stopping.signal });
  stopping.abort(new Error("no longer wanted"));
  await expect(stopped).rejects.toThrow();
  await new Promise<void>((resolve) => void sockets.close(() => resolve()));
});

test("a proxy named in the environment is not used", async () => {
  const before = connections;
  const script = `
    import { guardedRequest } from "${import.meta.dir}/../../src/security/outbound/guarded-request.ts";
    import { makeUrlGuard } from "${import.meta.dir}/../../src/security/outbound/url-guard.ts";
    const server = Bun.serve({ hostname: "127.9.9.9", port: 0, fetch: () => new Response("direct") });
    const guard = makeUrlGuard({ allowNetworks: ["127.9.9.9/32"] });
    const answer = await guardedRequest(guard, { url: "http://127.9.9.9:" + server.port + "/", method: "GET", headers: {},
      redirectsMax: 0, headersTimeoutMs: 5000, signal: AbortSignal.timeout(8000) });
    let text = ""; for await (const part of answer.body) text += part;
    console.log(text); server.stop(true);`;
  const proxy = `http://127.0.0.1:${canaryPort}`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    env: { ...Bun.env, HTTP_PROXY: proxy, http_proxy: proxy, HTTPS_PROXY: proxy, ALL_PROXY: proxy, NO_PROXY: "" },
    stdout: "pipe",
  });
  expect((await new Response(child.stdout).text()).trim()).toBe("direct");
  expect(connections).toBe(before);
});

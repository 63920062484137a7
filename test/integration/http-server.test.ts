/** What only a real server shows: ranges and HEAD on the wire, chunked bodies, two servers on a port, sockets, drain. */
import { afterAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { listen } from "../../plugins/listen.ts";
import { signDownload } from "../../src/security/signed-urls.ts";
import { openTestDatabase } from "../faults/protocol-harness.ts";
import { testEnv } from "../support/env.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until, within } from "../support/until.ts";
import { makeTestHttp, testConfig } from "./http-harness.ts";

const { sql } = await openTestDatabase("pglite");
const http = makeTestHttp({ sql, root: await makeTempDir("http-server") });
const server = listen(http.app, { host: "127.0.0.1", port: 0 });
const { key } = await http.key();
const api = `${server.url}/api/v1`;
afterAll(() => server.stop(false));

/** Sends text as it is and resolves with the head of the answer: `fetch` would correct it or hide what it says. */
function raw(text: string, { keepOpen = false } = {}): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect(server.port, "127.0.0.1", () => socket.write(text));
  let received = "";
  socket.on("data", (bytes) => {
    received += bytes.toString("latin1");
    if (received.includes("\r\n\r\n") && !keepOpen) socket.destroy();
  });
  socket.on("close", () => resolve(received));
  socket.on("error", reject);
  return within(promise, 5_000, "an answer");
}

async function download(bytes: Uint8Array, name: string): Promise<string> {
  const identity = await http.storage.write(name, bytes);
  const expiresAt = new Date(Date.now() + 60_000);
  const token = signDownload(http.app.context.signingSecret, { backend: "local", key: name, identity, expiresAt });
  return `/api/v1/files/${token}`;
}

const BYTES = crypto.getRandomValues(new Uint8Array(300_000));

/** One byte each second, for as long as the server has patience. */
async function drip(head: string): Promise<{ seconds: number; received: string }> {
  const startedAtMs = performance.now();
  const socket = connect(server.port, "127.0.0.1", () => socket.write(head));
  let [received, isClosed] = ["", false];
  socket.on("data", (bytes) => {
    received += bytes.toString("latin1");
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    isClosed = true;
  });
  const isHungUp = (): boolean => {
    if (!isClosed) socket.write("a");
    return isClosed;
  };
  await until(isHungUp, { timeoutMs: 90_000, intervalMs: 1_000, what: "the server to hang up" });
  return { seconds: (performance.now() - startedAtMs) / 1_000, received };
}

test("a client that takes its time with a request is hung up on, however steadily it goes on", async () => {
  const head = "POST /api/v1/convert HTTP/1.1\r\nhost: x\r\n";
  const slow = [drip(`${head}x-slow: `), drip(head), drip("")];
  // A body has a minute: only a long run waits for it.
  if (testEnv().long) slow.push(drip(`${head}x-api-key: ${key}\r\ncontent-length: 1000\r\n\r\n`));
  for (const { seconds, received } of await Promise.all(slow)) {
    expect(seconds).toBeLessThan(75);
    expect(received).not.toMatch(/^HTTP\/1\.1 2/);
  }
  expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
}, 100_000);

test("any range of a file arrives as it is", async () => {
  const path = await download(BYTES, "film.mp4");
  const ranges: readonly [number, number][] = [
    [0, 0],
    [0, 299_999],
    [1, 65_537],
    [299_999, 299_999],
    [100_000, 200_000],
  ];
  for (const [first, last] of ranges) {
    const answer = await fetch(server.url + path, { headers: { range: `bytes=${first}-${last}` } });
    expect([answer.status, answer.headers.get("content-length")]).toEqual([206, String(last - first + 1)]);
    expect(Buffer.from(await answer.arrayBuffer()).equals(BYTES.subarray(first, last + 1))).toBe(true);
  }
  const whole = await fetch(server.url + path);
  expect([whole.status, whole.headers.get("content-length")]).toEqual([200, "300000"]);
  expect(whole.headers.get("accept-ranges")).toBe("bytes");
  expect(whole.headers.get("content-type")).toBe("video/mp4");
  expect(Buffer.from(await whole.arrayBuffer()).equals(BYTES)).toBe(true);
});

test("HEAD says how long a file is and sends none of it", async () => {
  const path = await download(BYTES, "film.mkv");
  const head = await raw(`HEAD ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, { keepOpen: true });
  expect(head).toStartWith("HTTP/1.1 200");
  expect(head.toLowerCase()).toContain("content-length: 300000\r\n");
  expect(head).toEndWith("\r\n\r\n");
});

test("a Host of one letter is as good as any", async () => {
  expect(await raw("GET /health HTTP/1.1\r\nHost: a\r\n\r\n")).toStartWith("HTTP/1.1 200");
  expect(await raw(`GET /api/v1/jobs HTTP/1.1\r\nHost: a\r\nX-API-Key: ${key}\r\n\r\n`)).toStartWith("HTTP/1.1 200");
});

test("a chunked body that grows too large is refused while it comes", async () => {
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 16_384;
      if (sent > 50_000_000) return controller.close();
      controller.enqueue(new Uint8Array(16_384).fill(0x20));
    },
  });
  const answer = await fetch(`${api}/convert`, {
    method: "POST",
    body: endless,
    headers: { "x-api-key": key, "content-type": "application/json" },
  });
  expect(answer.status).toBe(413);
  expect(await answer.json()).toMatchObject({ error: { code: "PAYLOAD_TOO_LARGE" } });
});

test("a declared length that is too large is refused before the body comes", async () => {
  const head = `POST /api/v1/convert HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\nContent-Type: application/json\r\n`;
  expect(await raw(`${head}Content-Length: 900000\r\n\r\n`)).toStartWith("HTTP/1.1 413");
});

test("a client that leaves in the middle of its body is no failure of ours", async () => {
  const [finished, lines] = [http.finished.length, http.log.length];
  const head = `POST /api/v1/convert HTTP/1.1\r\nhost: x\r\nx-api-key: ${key}\r\ncontent-length: 1000\r\n\r\n{`;
  const socket = connect(server.port, "127.0.0.1", () => socket.write(head, () => socket.destroy()));
  await until(() => http.finished.length > finished);
  expect(http.finished.slice(finished)).toEqual([expect.objectContaining({ route: "convert.create", status: 400 })]);
  expect(http.log.slice(lines).filter(({ level }) => level !== "debug")).toEqual([]);
});

test("a second server on the same port is refused", () => {
  expect(() => listen(http.app, { host: "127.0.0.1", port: server.port })).toThrow();
});

test("with a port of their own, metrics are there and nothing else is, nor they elsewhere", async () => {
  const config = testConfig();
  const own = makeTestHttp({
    sql,
    root: await makeTempDir("http-metrics"),
    config: { ...config, http: { ...config.http, metricsPort: 9 } },
  });
  const [main, metrics] = [false, true].map((metricsOnly) =>
    listen(own.app, { host: "127.0.0.1", port: 0, metricsOnly }),
  );
  const status = async (path: string): Promise<number> => (await fetch(path)).status;
  expect(await status(`${main?.url}/metrics`)).toBe(404);
  expect(await status(`${metrics?.url}/metrics`)).toBe(200);
  expect(await status(`${main?.url}/health`)).toBe(200);
  expect(await status(`${metrics?.url}/health`)).toBe(404);
  await metrics?.stop(true);
  await main?.stop(true);
});

test("an address that takes sockets says so to whoever asks otherwise", async () => {
  const answer = await fetch(`${api}/ws`, { headers: { "x-api-key": key } });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ error: { code: "VALIDATION_ERROR" } });
});

test("a client's own request id comes back, an insane one does not", async () => {
  const ask = (id: string) => fetch(`${server.url}/health/live`, { headers: { "x-request-id": id } });
  expect((await ask("my-id.1")).headers.get("x-request-id")).toBe("my-id.1");
  for (const id of ["x".repeat(200), "a b", "<script>"]) {
    expect((await ask(id)).headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  }
});

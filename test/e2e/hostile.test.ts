/**
 * Hostile values in every place of every route, by the program's own OpenAPI document: no answer is a failure of ours or says
 * anything of the inside, nothing outside the roots is read or written, and memory stays flat. And requests that are no HTTP.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { residentMiB } from "../../bench/lib/processes.ts";
import { makeRandom } from "../faults/chaos/random.ts";
import { testEnv } from "../support/env.ts";
import { type HostileRequest, hostilePlaces, type OpenApi } from "../support/hostile.ts";
import { makeKey, makeSite, PROFILES, type RunningServer, type Site, startServer } from "../support/server.ts";
import { until, within } from "../support/until.ts";

const REQUESTS = testEnv().long ? 60_000 : 1_500;
const SEED = testEnv().long ? Date.now() : 20_260_101;
const AT_ONCE = 4;
const START_MS = 90_000;
/** A collector that has nothing else to do comes by within it. */
const REST_MS = 1_500;
const CANARY = "canary-4f1c2a77-do-not-show";
/** The error's shape around what a client wrote itself, shortened. */
const ERROR_LENGTH_MAX = 32_000;
/** What a client has no business to know. */
const INTERNALS =
  /node_modules|\.ts:\d|\$bunfs|\bSELECT \b|\bINSERT INTO\b|syscall|ENOENT|EACCES|ECONN|at \w+ \(|root:x:/;

/** What a process holds once the garbage of a burst, of more than a hundred megabytes at times, has been collected. */
async function restingMiB(pid: number): Promise<number> {
  let lowest = residentMiB(pid);
  let sinceMs = performance.now();
  await until(
    () => {
      const now = residentMiB(pid);
      if (now < lowest - 1) [lowest, sinceMs] = [now, performance.now()];
      return performance.now() - sinceMs >= REST_MS;
    },
    { timeoutMs: 20_000, intervalMs: 100, what: "memory to be at rest" },
  );
  return lowest;
}

interface World {
  readonly site: Site;
  readonly server: RunningServer;
  readonly key: string;
}

for (const profile of PROFILES) {
  describe(profile, () => {
    let world: World;
    beforeAll(async () => {
      const site = await makeSite(profile, { RATE_LIMIT: "10000000/min", ADDRESS_RATE_LIMIT: "10000000/min" });
      const key = await makeKey(site, { role: "admin" });
      await Bun.write(join(site.folder, "canary"), CANARY);
      world = { site, key, server: await startServer(site) };
    }, START_MS);
    afterAll(async () => {
      await world?.server[Symbol.asyncDispose]();
    });

    test(
      `${REQUESTS} requests with a hostile value each`,
      async () => {
        const { server, site, key } = world;
        const before = await outside(site);
        const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as OpenApi;
        const places = hostilePlaces(document);
        const random = makeRandom(SEED);
        const next = (): HostileRequest => {
          const place = random.pick(places);
          return place.request(random.pick(place.values));
        };
        const statuses = new Map<number, number>();
        const run = async (count: number): Promise<void> => {
          for (let n = 0; n < count; n += AT_ONCE) {
            const asked = Array.from({ length: AT_ONCE }, next);
            for (const status of await Promise.all(asked.map((one) => send(world, one)))) {
              statuses.set(status, (statuses.get(status) ?? 0) + 1);
            }
          }
        };
        await run(REQUESTS / 2);
        const halfway = await restingMiB(server.pid);
        await run(REQUESTS / 2);
        const grown = (await restingMiB(server.pid)) - halfway;
        const counts = [...statuses].toSorted(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
        console.log(`${places.length} places; answers ${counts.join(", ")}; memory ${grown.toFixed(0)} MiB more`);
        expect(grown).toBeLessThan(64);
        expect((await fetch(`${server.url}/api/v1/jobs`, { headers: { "x-api-key": key } })).status).toBe(200);
        expect(await outside(site)).toEqual(before);
        expect(await Bun.file(join(site.folder, "canary")).text()).toBe(CANARY);
        expect((await server.log()).split("\n").filter((line) => line.includes('"level":"error"'))).toEqual([]);
      },
      testEnv().long ? 3_600_000 : 100_000,
    );

    test("what is no HTTP, or too much of it, is refused, and the server goes on", async () => {
      const { server } = world;
      const line = "GET /health/live HTTP/1.1\r\nhost: x\r\n";
      const upload = "POST /api/v1/convert HTTP/1.1\r\nhost: x\r\n";
      const RAW: readonly (readonly [string, RegExp])[] = [
        [`${line}x-a: ${"a".repeat(100_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
        [`GET /${"a".repeat(100_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, /^HTTP\/1\.1 (414|431) /],
        [`${line}${Array.from({ length: 1_000 }, (_, n) => `x-${n}: b\r\n`).join("")}\r\n`, /^HTTP\/1\.1 431 /],
        [`${upload}content-length: 3\r\ncontent-length: 5\r\n\r\nabcde`, /^HTTP\/1\.1 400 /],
        [`${upload}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, /^HTTP\/1\.1 400 /],
        [`${upload}transfer-encoding: chunked\r\n\r\nzz\r\n`, /^HTTP\/1\.1 4\d\d |^$/],
        [`${upload}content-length: -1\r\n\r\n`, /^HTTP\/1\.1 400 /],
        ["G@T / HTTP/1.1\r\nhost: x\r\n\r\n", /^HTTP\/1\.1 400 /],
        [`${line}x-a: a\0b\r\n\r\n`, /^HTTP\/1\.1 400 /],
        ["\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", /^HTTP\/1\.1 400 |^$/],
      ];
      for (const [text, expected] of RAW) {
        const answer = await raw(server, text);
        expect([text.slice(0, 60), expected.test(answer), answer.slice(0, 60)]).toEqual([
          text.slice(0, 60),
          true,
          answer.slice(0, 60),
        ]);
        expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
      }
    });
  });
}

async function send(
  { server, site, key }: World,
  { id, method, path, headers, body }: HostileRequest,
): Promise<number> {
  const answer = await fetch(`${server.url}${path}`, {
    method,
    headers: { ...headers, "x-api-key": key },
    ...(body === null ? {} : { body }),
    redirect: "manual",
    signal: AbortSignal.timeout(30_000),
  });
  const said = await answer.text();
  const name = `${id} ${(body ?? path).slice(0, 300)}: ${answer.status} ${said.slice(0, 300)}`;
  expect([name, answer.status < 500]).toEqual([name, true]);
  expect(answer.headers.get("x-injected")).toBeNull();
  expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
  for (const secret of [CANARY, site.folder]) expect([name, said.includes(secret)]).toEqual([name, false]);
  if (answer.status < 400) return answer.status;
  expect([name, INTERNALS.test(said)]).toEqual([name, false]);
  expect([name, said.length < ERROR_LENGTH_MAX]).toEqual([name, true]);
  if (method !== "HEAD")
    expect([name, JSON.parse(said)]).toMatchObject([name, { error: { request_id: expect.any(String) } }]);
  return answer.status;
}

/** What lies beside the roots of this server. */
async function outside({ folder }: Site): Promise<string[]> {
  const [own, beside] = await Promise.all([readdir(folder), readdir(join(folder, ".."))]);
  return [...own.map((name) => `./${name}`), ...beside].filter((name) => !name.startsWith("./server-")).toSorted();
}

/** All that comes back until the server closes. */
async function raw({ url }: RunningServer, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const parts: Buffer[] = [];
  const socket = connect(Number(port), hostname);
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("data", (bytes) => parts.push(bytes as Buffer)).on("error", () => {});
  socket.write(Buffer.from(text, "latin1"));
  await within(closed, 30_000, `the connection to be closed after ${JSON.stringify(text.slice(0, 60))}`);
  return Buffer.concat(parts).toString("latin1");
}

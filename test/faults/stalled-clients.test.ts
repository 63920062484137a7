/** Many WebSocket clients of one job, of which some read nothing: the rest hears everything, and memory stays bounded. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import postgres from "postgres";
import { openRedisCoordination } from "../../src/coordination/redis/redis.ts";
import { publishChange } from "../../src/events/messages.ts";
import { makeApi } from "../support/api.ts";
import { afterFile } from "../support/cleanup.ts";
import { testEnv } from "../support/env.ts";
import { makeKey, makeSite, NO_FFMPEG, type Site, startServer } from "../support/server.ts";
import { until, within } from "../support/until.ts";

const { long } = testEnv();
const CLIENTS = long ? 1_000 : 100;
const STALLED = CLIENTS / 10;
/** 8 MB in all: more than the kernel keeps between a server and a client that reads nothing. */
const STEPS = 25;
const EVENTS_A_STEP = 200;
const EVENT_BYTES = 1_000;
const STEADY_LOOKS = 5;
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;
const LIMIT_MS = long ? 600_000 : 90_000;

const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;

/** Reads nothing at all, below what any library would let us do. */
function stall(port: number, path: string, key: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect(port, "127.0.0.1", () => {
    socket.pause();
    const lines = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    lines.push("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", `X-API-Key: ${key}`);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${lines.join("\r\n")}\r\n\r\n`, () => resolve(socket));
  });
  socket.on("error", reject);
  return promise;
}

interface Live {
  readonly opened: Promise<void>;
  /** The type of its last event, when the server has closed it. */
  readonly ended: Promise<string>;
  /** Of the newest event that it has. */
  lastSeq(): number;
  leave(): void;
}

function listen(url: string, key: string): Live {
  const socket = new WebSocket(url, { headers: { "x-api-key": key } } as unknown as string[]);
  const [opened, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<string>()];
  let last = "nothing";
  let lastSeq = 0;
  socket.onopen = () => opened.resolve();
  socket.onmessage = ({ data }) => {
    const { type, seq = lastSeq } = JSON.parse(String(data)) as { type: string; seq?: number };
    [last, lastSeq] = [type, seq];
  };
  socket.onclose = ({ code }) => ended.resolve(code === 1000 ? last : `closed with ${code} after ${last}`);
  afterFile(async () => socket.terminate());
  const leave = (): void => socket.close(1000);
  return { opened: opened.promise, ended: ended.promise, lastSeq: () => lastSeq, leave };
}

/** What a thousand handshakes leave to the garbage collector is gone when nothing grows any more. */
async function untilSteady(look: () => number): Promise<void> {
  const seen: number[] = [];
  await until(
    () => {
      seen.push(look());
      return seen.length > STEADY_LOOKS && seen.at(-1) === seen.at(-1 - STEADY_LOOKS);
    },
    { timeoutMs: 30_000, intervalMs: 100, what: "the server's memory not to grow any more" },
  );
}

/** Step by step, as a job's own come: one that reads has each step before the next is written. */
async function writeEvents(site: Site, jobId: string, { lastSeq }: Live, look: () => void): Promise<void> {
  const { DATABASE_URL = "", REDIS_URL: url = "", REDIS_PREFIX: prefix = "" } = site.env;
  const sql = postgres(DATABASE_URL, { max: 1, onnotice: () => {} });
  const { bus, close } = await openRedisCoordination({ url, prefix });
  for (let step = 0; step < STEPS; step++) {
    const from = 2 + step * EVENTS_A_STEP;
    await sql.begin((tx) => [
      tx`INSERT INTO job_logs (job_id, seq, type, data)
        SELECT ${jobId}, ${from}::bigint + n, 'job.noted', jsonb_build_object('text', repeat('x', ${EVENT_BYTES}))
        FROM generate_series(0, ${EVENTS_A_STEP - 1}::int) n`,
      tx`UPDATE jobs SET log_seq = ${from + EVENTS_A_STEP - 1} WHERE id = ${jobId}`,
    ]);
    await publishChange(bus, jobId);
    await until(() => lastSeq() === from + EVENTS_A_STEP - 1, { timeoutMs: 30_000, what: "a client to have the step" });
    look();
  }
  await close();
  await sql.end();
}

test(
  `${CLIENTS} WebSocket clients of which ${STALLED} stall: each that reads gets the final event, and memory grows by 64 MiB at the most`,
  async () => {
    const site = await makeSite("cluster");
    const key = await makeKey(site);
    const server = await startServer(site, { RENDIFF_ROLE: "api", ...NO_FFMPEG });
    const api = makeApi(server.url, key);
    // Nobody runs them: their events are ours to write.
    const [quiet, loud] = await Promise.all(
      ["a", "b"].map((name) => api.convert({ input: "in.mp4", output: `${name}.mp4`, operations: [] })),
    );
    const url = new URL(`${server.url.replace("http", "ws")}/api/v1/jobs/${quiet?.id}/ws`);
    // What is loaded and compiled for the first clients counts for nobody.
    const early = Array.from({ length: STALLED }, () => listen(url.href, key));
    await Promise.all(early.map(({ opened }) => opened));
    for (const { leave } of early) leave();
    await Promise.all(early.map((one) => one.ended));
    const before = residentBytes(server.pid);
    const live = Array.from({ length: CLIENTS - STALLED }, () => listen(url.href, key));
    await within(Promise.all(live.map(({ opened }) => opened)), 60_000, "all clients to be connected");
    const stalled = Array.from({ length: STALLED }, () => stall(Number(url.port), `/api/v1/jobs/${loud?.id}/ws`, key));
    for (const socket of await Promise.all(stalled)) afterFile(async () => void socket.destroy());
    let most = 0;
    const look = (): number => {
      most = Math.max(most, residentBytes(server.pid));
      return most;
    };
    await untilSteady(look);
    const reader = listen(url.href.replace(quiet?.id ?? "", loud?.id ?? ""), key);
    await writeEvents(site, loud?.id ?? "", reader, look);
    await untilSteady(look);
    for (const id of [loud?.id, quiet?.id]) expect((await api.call("DELETE", `/jobs/${id}`)).status).toBe(200);
    const ended = await within(
      Promise.all([reader, ...live].map((one) => one.ended)),
      60_000,
      "all that read to be told the end",
    );
    expect([...new Set(ended)]).toEqual(["job.cancelled"]);
    console.log(`${CLIENTS} clients, ${STALLED} stalled: + ${((look() - before) / 2 ** 20).toFixed(1)} MiB`);
    expect(look() - before).toBeLessThanOrEqual(MEMORY_BYTES_MAX);
  },
  LIMIT_MS,
);

/** Live events over a real server: resumed without a gap or a repeat, bounded for clients that stall, closed on drain. */
import { afterAll, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { listen } from "../../plugins/listen.ts";
import { publishChange, publishProgress } from "../../src/events/messages.ts";
import { setPriority } from "../../src/jobs/store.ts";
import type { JobId, Priority } from "../../src/jobs/types.ts";
import { openTestDatabase } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until, within } from "../support/until.ts";
import { makeTestHttp } from "./http-harness.ts";

const { sql } = await openTestDatabase("pglite");
const http = makeTestHttp({ sql, root: await makeTempDir("http-events") });
const server = listen(http.app, { host: "127.0.0.1", port: 0 });
const { key } = await http.key();
const other = await http.key();
const { bus } = http.coordination;
afterAll(() => server.stop(false));

async function makeJob(): Promise<JobId> {
  const json = { input_path: "a.mov", output_path: "b.mp4" };
  const answer = await http.call("POST", "/convert", { key, json });
  return ((await answer.json()) as { id: JobId }).id;
}

let turn = 0;
/** Appends one durable event by changing the priority, and tells the listeners. */
async function touch(jobId: JobId): Promise<void> {
  const priority: Priority = turn++ % 2 === 0 ? "high" : "low";
  await setPriority(sql, { jobId, keyId: null, priority });
  await publishChange(bus, jobId);
}
const cancel = (jobId: JobId) => http.call("DELETE", `/jobs/${jobId}`, { key });
const live = (jobId: JobId, progress: number) =>
  publishProgress(bus, { jobId, stage: "encoding", progress, fps: 25, speed: 1, etaSeconds: 3 });

interface SseEvent {
  readonly id: string | null;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** Reads a stream's events as a browser does, until `enough` says so or it ends. */
async function readSse(response: Response, enough: (events: readonly SseEvent[]) => boolean): Promise<SseEvent[]> {
  const events: SseEvent[] = [];
  let text = "";
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
      const fields = new Map(
        text
          .slice(0, end)
          .split("\n")
          .map((line) => line.split(/: ?(.*)/s, 2) as [string, string]),
      );
      text = text.slice(end + 2);
      const data = fields.get("data");
      if (data === undefined) continue;
      events.push({ id: fields.get("id") ?? null, event: fields.get("event") ?? "message", data: JSON.parse(data) });
      if (enough(events)) return events;
    }
  }
  return events;
}

const follow = (jobId: JobId, headers: Record<string, string> = {}) =>
  fetch(`${server.url}/api/v1/jobs/${jobId}/events`, { headers: { "x-api-key": key, ...headers } });

test("a stream replays, goes on live, and ends after the final event; asked again it says there is no more", async () => {
  const jobId = await makeJob();
  const response = await follow(jobId);
  expect(response.headers.get("content-type")).toStartWith("text/event-stream");
  expect(response.headers.get("x-ratelimit-limit")).not.toBeNull();
  const reading = readSse(response, () => false);
  await until(() => http.app.context.events.topics === 1, { what: "the listener" });
  await touch(jobId);
  await live(jobId, 50);
  await until(() => true);
  await cancel(jobId);
  const events = await within(reading, 5_000, "the end of the stream");
  const durable = events.filter(({ id }) => id !== null);
  expect(durable.map(({ id, event }) => [id, event])).toEqual([
    ["1", "job.queued"],
    ["2", "job.priority_changed"],
    ["3", "job.cancelled"],
  ]);
  expect(durable[2]?.data).toMatchObject({ job_id: jobId, seq: 3, type: "job.cancelled" });
  for (const { id, data } of events.filter(({ event }) => event === "progress")) {
    expect([id, data]).toEqual([null, expect.objectContaining({ progress: 50, eta_seconds: 3 })]);
  }
  expect((await follow(jobId, { "last-event-id": "3" })).status).toBe(204);
  expect((await follow(jobId, { "last-event-id": "x" })).status).toBe(400);
});

test("cut anywhere and resumed by Last-Event-ID, a client gets every event once", async () => {
  const jobId = await makeJob();
  const total = 60;
  const writing = (async () => {
    for (let seq = 2; seq < total; seq++) await touch(jobId);
    await cancel(jobId);
  })();
  const seen: number[] = [];
  while (seen.at(-1) !== total) {
    const wanted = 1 + Math.floor(Math.random() * 7);
    const response = await follow(jobId, { "last-event-id": String(seen.at(-1) ?? 0) });
    const events = await within(
      readSse(response, (all) => all.length >= wanted),
      5_000,
      "events",
    );
    seen.push(...events.flatMap(({ id }) => (id === null ? [] : [Number(id)])));
  }
  await writing;
  expect(seen).toEqual(Array.from({ length: total }, (_, index) => index + 1));
});

test("leaving ends the subscription", async () => {
  const jobId = await makeJob();
  const before = http.app.context.connections.size;
  const controller = new AbortController();
  const response = await fetch(`${server.url}/api/v1/jobs/${jobId}/events`, {
    headers: { "x-api-key": key },
    signal: controller.signal,
  });
  await readSse(response, (events) => events.length === 1);
  controller.abort();
  await until(() => http.app.context.connections.size <= before, { what: "the end of the stream" });
  await until(() => http.app.context.events.topics === 0, { what: "the end of the topic" });
});

interface TestSocket {
  readonly messages: Record<string, unknown>[];
  readonly closed: Promise<number>;
  send(value: unknown): void;
  close(): void;
}

async function openSocket(path: string, as = key): Promise<TestSocket> {
  // Bun's client takes headers; browsers cannot, which is what tokens will be for.
  const options = { headers: { "x-api-key": as } } as unknown as string[];
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/api/v1${path}`, options);
  const messages: Record<string, unknown>[] = [];
  const closed = Promise.withResolvers<number>();
  const opened = Promise.withResolvers<void>();
  socket.onopen = () => opened.resolve();
  socket.onmessage = ({ data }) => messages.push(JSON.parse(String(data)));
  socket.onclose = ({ code }) => {
    closed.resolve(code);
    opened.reject(new Error(`closed with ${code}`));
  };
  socket.onerror = () => undefined;
  await within(opened.promise, 5_000, "the socket");
  return {
    messages,
    closed: closed.promise,
    send: (value) => socket.send(typeof value === "string" ? value : JSON.stringify(value)),
    close: () => socket.close(),
  };
}

test("a job's socket tells the same events and closes after the last", async () => {
  const jobId = await makeJob();
  const socket = await openSocket(`/jobs/${jobId}/ws`);
  await touch(jobId);
  await until(() => socket.messages.length === 2, { what: "two events" });
  await live(jobId, 30);
  await until(() => socket.messages.length === 3, { what: "progress" });
  await cancel(jobId);
  expect(await within(socket.closed, 5_000, "the close")).toBe(1000);
  expect(socket.messages.map(({ seq, type }) => [seq, type])).toEqual([
    [1, "job.queued"],
    [2, "job.priority_changed"],
    [undefined, "progress"],
    [3, "job.cancelled"],
  ]);
});

test("one socket follows many jobs, each from where it says", async () => {
  const [one, two] = [await makeJob(), await makeJob()];
  await touch(one);
  const socket = await openSocket("/ws");
  const of = (jobId: JobId) => socket.messages.filter(({ job_id, seq }) => job_id === jobId && seq !== undefined);
  socket.send({ subscribe: one, after: 1 });
  socket.send({ subscribe: two });
  await until(() => of(one).length === 1 && of(two).length === 1, { what: "both jobs' events" });
  expect(of(one)[0]?.seq).toBe(2);
  socket.send({ unsubscribe: one });
  const ended = (jobId: JobId) => socket.messages.some((m) => m.type === "unsubscribed" && m.job_id === jobId);
  await until(() => ended(one), { what: "the answer" });
  await touch(one);
  await touch(two);
  await until(() => of(two).length === 2, { what: "the other job's event" });
  expect(of(one).length).toBe(1);
  await cancel(two);
  await until(() => ended(two), { what: "the end of the job" });
  expect(of(two).map(({ seq }) => seq)).toEqual([1, 2, 3]);
  socket.close();
  await cancel(one);
});

test("what a socket cannot do it says, and lives on", async () => {
  const jobId = await makeJob();
  const stranger = await openSocket("/ws", other.key);
  const errors = () => stranger.messages.filter(({ type }) => type === "error").length;
  const bad: unknown[] = [
    "{",
    "[]",
    { subscribe: 1 },
    { subscribe: jobId, after: -1 },
    { unsubscribe: jobId },
    { x: 1 },
  ];
  for (const [index, message] of [
    ...bad,
    { subscribe: jobId },
    { subscribe: "\u0000" },
    { subscribe: "x" },
  ].entries()) {
    stranger.send(message);
    await until(() => errors() === index + 1, { what: `an error for ${JSON.stringify(message)}` });
  }
  expect(stranger.messages.every(({ type }) => type === "error")).toBe(true);
  stranger.close();
  const mine = await openSocket("/ws");
  mine.send({ subscribe: jobId });
  mine.send({ subscribe: jobId });
  await until(() => mine.messages.some(({ type }) => type === "error"), { what: "the second one's error" });
  mine.close();
});

test("a socket follows only so many jobs, and takes only short messages", async () => {
  const socket = await openSocket("/ws");
  const jobs = await Promise.all(Array.from({ length: 201 }, makeJob));
  for (const subscribe of jobs) socket.send({ subscribe, after: 1 });
  const count = (wanted: string) => socket.messages.filter(({ type }) => type === wanted).length;
  await until(() => count("subscribed") === 200 && count("error") === 1, { what: "200 subscriptions and a refusal" });
  socket.send("x".repeat(10_000));
  expect(await within(socket.closed, 5_000, "the close")).not.toBe(1000);
  await until(() => http.app.context.events.topics === 0, { what: "the end of all topics" });
});

test("a key that is revoked ends what it has open", async () => {
  const admin = await http.key({ role: "admin" });
  const revoked = await http.key();
  const socket = await openSocket("/ws", revoked.key);
  const kept = await openSocket("/ws");
  await http.call("DELETE", `/admin/api-keys/${revoked.apiKey.id}`, { key: admin.key });
  expect(await within(socket.closed, 5_000, "the close")).toBe(1008);
  kept.send({ subscribe: "x" });
  await until(() => kept.messages.length === 1, { what: "an answer on the other key's socket" });
  kept.close();
});

test("a socket without a key, or to another's job, is refused before it is one", async () => {
  const jobId = await makeJob();
  await expect(openSocket("/ws", "rnd_wrong")).rejects.toThrow();
  await expect(openSocket(`/jobs/${jobId}/ws`, other.key)).rejects.toThrow();
});

/** A client that reads nothing at all, below what any library would let us do. */
function stalledClient(path: string): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect(server.port, "127.0.0.1", () => {
    socket.pause();
    socket.write(`GET /api/v1${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\n\r\n`, () => resolve(socket));
  });
  socket.on("error", reject);
  return within(promise, 5_000, "a connection");
}

test("clients that read nothing delay nobody", async () => {
  const jobId = await makeJob();
  const stalled = await Promise.all(Array.from({ length: 20 }, () => stalledClient(`/jobs/${jobId}/events`)));
  const reading = readSse(await follow(jobId), () => false);
  await until(() => http.app.context.connections.size >= 21, { what: "all streams" });
  for (let index = 0; index < 200; index++) await live(jobId, index / 2);
  await touch(jobId);
  await cancel(jobId);
  const events = await within(reading, 5_000, "the reader's end");
  expect(events.at(-1)?.event).toBe("job.cancelled");
  for (const socket of stalled) socket.destroy();
  await until(() => http.app.context.connections.size === 0, { what: "the end of the stalled streams" });
});

test("a drain closes sockets with 1001, ends streams, and stops", async () => {
  const own = makeTestHttp({ sql, root: await makeTempDir("http-drain") });
  const second = listen(own.app, { host: "127.0.0.1", port: 0 });
  const jobId = await makeJob();
  const url = `${second.url.replace("http", "ws")}/api/v1/jobs/${jobId}/ws`;
  const socket = new WebSocket(url, { headers: { "x-api-key": key } } as unknown as string[]);
  const closed = Promise.withResolvers<number>();
  const opened = Promise.withResolvers<void>();
  socket.onmessage = () => opened.resolve();
  socket.onclose = ({ code }) => closed.resolve(code);
  await within(opened.promise, 5_000, "the socket");
  const stream = await fetch(`${second.url}/api/v1/jobs/${jobId}/events`, { headers: { "x-api-key": key } });
  const reading = readSse(stream, () => false);
  await within(second.stop(true), 8_000, "the stop");
  expect(await within(closed.promise, 1_000, "the close")).toBe(1001);
  expect((await within(reading, 1_000, "the stream's end")).length).toBeLessThanOrEqual(1);
  await expect(fetch(`${second.url}/health/live`)).rejects.toThrow();
});

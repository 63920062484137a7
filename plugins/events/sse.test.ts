import { expect, test } from "bun:test";
import type { EventStream, StreamItem } from "../../src/events/hub.ts";
import type { JobId, KeyId } from "../../src/jobs/types.ts";
import { makeConnections } from "../connections.ts";
import { HEARTBEAT_MS, STALL_MS, sseBody, toSseText } from "./sse.ts";

const KEY = "0193a000-0000-7000-8000-000000000002" as KeyId;
const JOB = "0193a000-0000-7000-8000-000000000001" as JobId;

function makeStream() {
  const waiting: ((item: StreamItem | null) => void)[] = [];
  const state = { closed: false, asked: 0 };
  const stream: EventStream = {
    cursor: 0,
    ended: false,
    next() {
      state.asked++;
      if (state.closed) return Promise.resolve(null);
      return new Promise((resolve) => waiting.push(resolve));
    },
    close() {
      state.closed = true;
      for (const resolve of waiting.splice(0)) resolve(null);
    },
  };
  return { stream, state, give: (item: StreamItem | null) => waiting.shift()?.(item) };
}

const progress = (percent: number): StreamItem => ({
  kind: "progress",
  progress: { jobId: JOB, stage: "encoding", progress: percent, fps: null, speed: null, etaSeconds: null },
});

interface Reader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
}
const text = async (reader: Reader): Promise<string> => new TextDecoder().decode((await reader.read()).value);

function begin() {
  const source = makeStream();
  const connections = makeConnections();
  const leaving = new AbortController();
  const body = sseBody(source.stream, toSseText, connections, { keyId: KEY, expiresAt: null, signal: leaving.signal });
  const reader: Reader & { cancel(): Promise<void> } = body.getReader();
  /** As if so much time had passed. */
  const pass = (ms: number): void => connections.tick(performance.now() + ms);
  return { ...source, connections, leaving, reader, pass };
}

test("silence is filled with comments, and the item that was waited for is not lost", async () => {
  const { state, give, reader, pass, connections } = begin();
  expect(await text(reader)).toStartWith("retry: ");
  for (const _ of [1, 2]) {
    const next = text(reader);
    pass(HEARTBEAT_MS - 1_000);
    pass(HEARTBEAT_MS);
    expect(await next).toBe(": heartbeat\n\n");
  }
  expect(state.asked).toBe(1);
  give(progress(7));
  const next = await text(reader);
  expect(next).toContain('"progress":7');
  expect(next).not.toContain("id:");
  await reader.cancel();
  expect([state.closed, connections.size]).toEqual([true, 0]);
});

test("a client that takes nothing is cut in time, and nothing is read for it meanwhile", async () => {
  const { state, give, reader, pass, connections } = begin();
  await text(reader);
  give(progress(1));
  await text(reader);
  for (let percent = 2; percent < 100; percent++) {
    give(progress(percent));
    await Promise.resolve();
  }
  expect(state.asked).toBeLessThanOrEqual(3);
  pass(STALL_MS - 1_000);
  expect(state.closed).toBe(false);
  pass(STALL_MS);
  expect([state.closed, connections.size]).toEqual([true, 0]);
});

test("a client that waits for something is never cut", async () => {
  const { state, reader, pass } = begin();
  await text(reader);
  const next = text(reader);
  for (let minute = 1; minute < 10; minute++) pass(minute * STALL_MS);
  expect(await next).toBe(": heartbeat\n\n");
  expect(state.closed).toBe(false);
  await reader.cancel();
});

test("a drain, a revoked key, or the client's leaving ends the stream", async () => {
  for (const how of ["drain", "revoke", "leave"] as const) {
    const { state, reader, connections, leaving } = begin();
    await text(reader);
    connections.closeOf(JOB);
    expect(state.closed).toBe(false);
    if (how === "drain") connections.closeAll();
    else if (how === "revoke") connections.closeOf(KEY);
    else leaving.abort();
    expect((await reader.read()).done).toBe(true);
    expect([state.closed, connections.size]).toEqual([true, 0]);
  }
});

/** Tokens for browsers: they follow what they were made for, read only, and stop with their key. */
import { afterAll, expect, test } from "bun:test";
import { listen } from "../../plugins/listen.ts";
import { channels } from "../../src/coordination/ports.ts";
import type { JobId } from "../../src/jobs/types.ts";
import { signReadToken, verifyReadToken } from "../../src/security/read-tokens.ts";
import { signDownload } from "../../src/security/signed-urls.ts";
import { openTestDatabase } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until, within } from "../support/until.ts";
import { makeTestHttp } from "./http-harness.ts";

const { sql } = await openTestDatabase("pglite");
const http = makeTestHttp({ sql, root: await makeTempDir("http-tokens") });
const server = listen(http.app, { host: "127.0.0.1", port: 0 });
afterAll(() => server.stop(false));
const owner = await http.key();
const other = await http.key({ role: "admin" });

async function makeJob(key = owner.key): Promise<string> {
  const answer = await http.call("POST", "/convert", { key, json: { input_path: "a.mov", output_path: "b.mp4" } });
  return ((await answer.json()) as { id: string }).id;
}

async function makeToken(body: object, key = owner.key): Promise<string> {
  const answer = await http.call("POST", "/tokens", { key, json: body });
  expect(answer.status).toBe(201);
  return ((await answer.json()) as { token: string }).token;
}

/** The status of a stream's answer; the stream is left at once. */
async function follow(jobId: string, token: string): Promise<number> {
  const gone = new AbortController();
  const answer = await fetch(`${server.url}/api/v1/jobs/${jobId}/events?token=${token}`, { signal: gone.signal });
  gone.abort();
  return answer.status;
}

async function openSocket(path: string): Promise<{ socket: WebSocket; messages: Record<string, unknown>[] }> {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/api/v1${path}`);
  const messages: Record<string, unknown>[] = [];
  socket.onmessage = ({ data }) => void messages.push(JSON.parse(String(data)));
  const opened = Promise.withResolvers<void>();
  socket.onopen = () => opened.resolve();
  socket.onerror = () => opened.reject(new Error("refused"));
  await within(opened.promise, 5_000);
  return { socket, messages };
}

test("a token for one job opens that job's events, by stream and by socket, and no other's", async () => {
  const [mine, second] = [await makeJob(), await makeJob()];
  const token = await makeToken({ job_id: mine });
  expect(await follow(mine, token)).toBe(200);
  expect(await follow(second, token)).toBe(404);
  const one = await openSocket(`/jobs/${mine}/ws?token=${token}`);
  await until(() => one.messages.length > 0);
  expect(one.messages[0]).toMatchObject({ type: "job.queued", job_id: mine });
  one.socket.close();
  expect(openSocket(`/jobs/${second}/ws?token=${token}`)).rejects.toThrow();
  const many = await openSocket(`/ws?token=${token}`);
  many.socket.send(JSON.stringify({ subscribe: second, after: 0 }));
  await until(() => many.messages.length > 0);
  expect(many.messages).toEqual([expect.objectContaining({ type: "error", message: "There is no such job." })]);
  many.socket.close();
});

test("a token without a job is for all of the key's own, even an administrator's", async () => {
  const theirs = await makeJob(other.key);
  const mine = await makeJob();
  expect(await follow(mine, await makeToken({}))).toBe(200);
  expect(await follow(theirs, await makeToken({}))).toBe(404);
  expect(await follow(mine, await makeToken({}, other.key))).toBe(404);
  expect(await follow(mine, await makeToken({ job_id: mine }, other.key))).toBe(200);
});

test("nobody makes a token for what is not there for them, or for long", async () => {
  const theirs = await makeJob(other.key);
  for (const [json, status] of [
    [{ job_id: theirs }, 404],
    [{ job_id: "x" }, 400],
    [{ ttl_seconds: 3_601 }, 400],
    [{ ttl_seconds: 0 }, 400],
  ] as const) {
    expect((await http.call("POST", "/tokens", { key: owner.key, json })).status).toBe(status);
  }
});

test("a token reads events and nothing else, and is no key", async () => {
  const jobId = await makeJob();
  const token = await makeToken({});
  for (const [method, path] of [
    ["GET", `/jobs?token=${token}`],
    ["GET", `/jobs/${jobId}?token=${token}`],
    ["DELETE", `/jobs/${jobId}?token=${token}`],
    ["POST", `/tokens?token=${token}`],
    ["GET", `/files/${token}`],
  ] as const) {
    expect([path, (await http.call(method, path)).status]).toEqual([path, 401]);
  }
  expect((await http.call("GET", "/jobs", { key: token })).status).toBe(401);
});

test("it ends with its time, with its key, and with the sockets that it opened", async () => {
  const made = await http.key();
  const jobId = await makeJob(made.key);
  const { keyId } = { keyId: made.apiKey.id };
  const secret = http.app.context.signingSecret;
  const expiresAt = new Date(Date.now() + 60_000);
  expect(await follow(jobId, signReadToken(secret, { keyId, jobId: null, expiresAt: new Date(1_000) }))).toBe(401);
  expect(await follow(jobId, signReadToken("another secret", { keyId, jobId: null, expiresAt }))).toBe(401);
  const download = signDownload(secret, { backend: keyId, key: jobId, identity: "x", expiresAt });
  expect(await follow(jobId, download)).toBe(401);
  const token = await makeToken({}, made.key);
  const { socket } = await openSocket(`/jobs/${jobId}/ws?token=${token}`);
  const closed = Promise.withResolvers<number>();
  socket.onclose = ({ code }) => closed.resolve(code);
  await sql.query("UPDATE api_keys SET revoked_at = now() WHERE id = $1", [keyId]);
  await http.coordination.bus.publish(channels.keys, { key_id: keyId });
  expect(await within(closed.promise, 1_000)).toBe(1008);
  expect(await follow(jobId, token)).toBe(401);
});

test("what it opened ends with it, and with the key whose end nobody was told of", async () => {
  const made = await http.key();
  const jobId = await makeJob(made.key);
  const secret = http.app.context.signingSecret;
  const brief = signReadToken(secret, {
    keyId: made.apiKey.id,
    jobId: jobId as JobId,
    expiresAt: new Date(Date.now() + 2_000),
  });
  const long = await makeToken({}, made.key);
  const [ending, staying] = [await openSocket(`/ws?token=${brief}`), await openSocket(`/ws?token=${long}`)];
  const stream = await fetch(`${server.url}/api/v1/jobs/${jobId}/events?token=${brief}`);
  const closed = Promise.withResolvers<[number, string]>();
  ending.socket.onclose = ({ code, reason }) => closed.resolve([code, reason]);
  const ended = within(stream.text(), 5_000);
  expect(await within(closed.promise, 5_000)).toEqual([1008, "the key or token has expired"]);
  expect(await ended).toContain("job.queued");
  expect(staying.socket.readyState).toBe(WebSocket.OPEN);
  const left = Promise.withResolvers<number>();
  staying.socket.onclose = ({ code }) => left.resolve(code);
  await sql.query("UPDATE api_keys SET revoked_at = now() WHERE id = $1", [made.apiKey.id]);
  http.app.context.connections.tick(performance.now() + 6_000);
  expect(await within(left.promise, 1_000)).toBe(1008);
});

test("what was signed comes back as it was, and nothing else does", () => {
  const target = { keyId: owner.apiKey.id, jobId: null, expiresAt: new Date(2_000_000_000_000) };
  const token = signReadToken("a", target);
  expect(verifyReadToken("a", token)).toEqual(target);
  for (const text of ["", "x", `${token}A`, token.slice(1), `.${token}`, token.replace(".", "..")]) {
    expect(verifyReadToken("a", text)).toBeNull();
  }
});

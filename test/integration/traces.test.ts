/** Traces through real processes to a real receiver: one trace from a client's request to its webhook, across replicas. */
import { beforeAll, describe, expect, test } from "bun:test";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { makeApi } from "../support/api.ts";
import { type CollectedSpan, startCollector } from "../support/collector.ts";
import { makeClip } from "../support/media.ts";
import { startReceiver } from "../support/receiver.ts";
import { makeKey, makeSite, type Profile, type Site, startServer } from "../support/server.ts";
import { freePort } from "../support/servers.ts";
import { until } from "../support/until.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = "00f067aa0ba902b7";
const STAGES = ["downloading", "probing", "planning", "encoding", "verifying", "uploading", "fencing", "publishing"];

let clip: string;

beforeAll(async () => {
  clip = await makeClip({ durationSeconds: 1 });
});

async function siteWith(profile: Profile, env: Readonly<Record<string, string>>): Promise<Site> {
  const site = await makeSite(profile, { ALLOW_PRIVATE_NETWORKS: "loopback", ...env });
  await copyFile(clip, join(site.storage, "in.mp4"));
  return site;
}

interface Submission {
  readonly url: string;
  readonly key: string;
  readonly body: object;
  readonly traceparent?: string;
}

async function submit({ url, key, body, traceparent }: Submission): Promise<string> {
  const headers = { "x-api-key": key, "content-type": "application/json", ...(traceparent ? { traceparent } : {}) };
  const answer = await fetch(`${url}/api/v1/convert`, { method: "POST", headers, body: JSON.stringify(body) });
  expect(answer.status).toBe(201);
  return ((await answer.json()) as { id: string }).id;
}

const toWebm = (output: string, more: object = {}) => ({
  ...{ input: "in.mp4", output, ...more },
  operations: [{ type: "transcode", video_codec: "vp8", width: 64, height: 48, audio_codec: "none" }],
});

/** A receiver that keeps the `traceparent` of what it gets. */
function startTracedReceiver() {
  const seen: (string | null)[] = [];
  const receiver = startReceiver();
  const proxy = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      seen.push(request.headers.get("traceparent"));
      return fetch(receiver.url, { method: "POST", headers: request.headers, body: await request.arrayBuffer() });
    },
  });
  return { url: `http://127.0.0.1:${proxy.port}/hook`, seen, stop: () => proxy.stop(true) };
}

describe("with a collector", () => {
  test("one trace goes from a client's request through an API replica and a worker to the webhook", async () => {
    const collector = startCollector();
    const receiver = startTracedReceiver();
    const site = await siteWith("cluster", {
      OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20of-the-test",
      OTEL_SERVICE_NAME: "media",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
    });
    const key = await makeKey(site);
    await using worker = await startServer(site, { RENDIFF_ROLE: "worker" });
    await using api = await startServer(site, { RENDIFF_ROLE: "api", FFMPEG_PATH: "/none", FFPROBE_PATH: "/none" });
    const traceparent = `00-${TRACE}-${PARENT}-01`;
    const body = toWebm("out.webm", { webhook_url: receiver.url });
    const id = await submit({ url: api.url, key, body, traceparent });
    await until(() => receiver.seen.length > 0, { timeoutMs: 30_000 });
    expect([await worker.stop(), await api.stop()]).toEqual([0, 0]);
    receiver.stop();

    const spans = collector.spans().filter(({ traceId }) => traceId === TRACE);
    const named = (name: string): CollectedSpan => {
      const found = spans.filter((span) => span.name === name);
      expect([name, found.length]).toEqual([name, 1]);
      return found[0] as CollectedSpan;
    };
    const [request, job, attempt] = [named("POST /convert"), named("job convert"), named("attempt")];
    expect(request.parentSpanId).toBe(PARENT);
    expect(job.parentSpanId).toBe(request.spanId);
    expect(attempt.parentSpanId).toBe(job.spanId);
    for (const stage of STAGES) expect([stage, named(stage).parentSpanId]).toEqual([stage, attempt.spanId]);
    const webhook = named("webhook job.completed");
    expect(webhook.parentSpanId).toBe(job.spanId);
    expect(receiver.seen).toEqual([`00-${TRACE}-${webhook.spanId}-01`]);
    // The request was answered by one process and the job run by another.
    expect(request.resource["service.instance.id"]).not.toBe(attempt.resource["service.instance.id"]);
    expect([request.resource["rendiff.role"], attempt.resource["rendiff.role"]]).toEqual(["api", "worker"]);
    expect(attempt.resource).toMatchObject({ "service.name": "media", "deployment.environment.name": "test" });
    expect(job.attributes).toMatchObject({ "rendiff.job.id": id, "rendiff.job.status": "completed" });
    expect(request.attributes).toMatchObject({ "http.response.status_code": 201, "http.route": "/convert" });
    for (const { startTimeUnixNano, endTimeUnixNano } of spans) {
      expect(BigInt(endTimeUnixNano) >= BigInt(startTimeUnixNano)).toBe(true);
    }
    expect(new Set(collector.posts.map(({ path }) => path))).toEqual(new Set(["/v1/traces"]));
    expect(collector.posts[0]?.headers.authorization).toBe("Bearer of-the-test");
    // What only asks how the service is leaves no trace.
    expect(collector.spans().filter(({ name }) => name.includes("health"))).toEqual([]);
    const lines = (await worker.log()).split("\n").filter((line) => line.includes("attempt ended"));
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ job_id: id, attempt: 1, trace_id: TRACE });
  }, 90_000);

  test("a failed job says why, in protobuf and compressed; a trace that its client does not record is not recorded", async () => {
    const collector = startCollector();
    const env = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/here`, OTEL_EXPORTER_OTLP_COMPRESSION: "gzip" };
    const site = await siteWith("embedded", env);
    await Bun.write(join(site.storage, "broken.mp4"), "this is no film");
    const key = await makeKey(site);
    const server = await startServer(site);
    const api = makeApi(server.url, key);
    const unsampled = await submit({
      ...{ url: server.url, key, body: toWebm("quiet.webm"), traceparent: `00-${TRACE}-${PARENT}-00` },
    });
    await api.ended(unsampled);
    const failed = await submit({ url: server.url, key, body: { ...toWebm("none.webm"), input: "broken.mp4" } });
    expect((await api.ended(failed)).status).toBe("failed");
    expect(await server.stop()).toBe(0);
    const sent = Buffer.concat(collector.posts.map(({ body }) => body)).toString("latin1");
    expect(sent).toContain(failed);
    expect(sent).toContain("input.unreadable");
    expect(sent).not.toContain(unsampled);
    const [post] = collector.posts;
    expect([post?.path, post?.headers["content-type"], post?.headers["content-encoding"]]).toEqual([
      ...["/here", "application/x-protobuf", "gzip"],
    ]);
  }, 60_000);

  test("a collector that is away costs traces, one line of the log, and nothing else", async () => {
    const site = await siteWith("embedded", {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${freePort()}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: "500",
    });
    const key = await makeKey(site);
    const server = await startServer(site);
    const api = makeApi(server.url, key);
    for (const name of ["a.webm", "b.webm"]) {
      expect((await api.completed(toWebm(name))).status).toBe("completed");
    }
    await until(async () => (await server.log()).includes("traces could not be sent"), { timeoutMs: 15_000 });
    expect(await server.stop()).toBe(0);
    expect((await server.log()).split("traces could not be sent").length - 1).toBe(1);
  }, 60_000);
});

describe("without a collector", () => {
  test("a client's trace is passed on to its receiver as it came, and none is invented", async () => {
    const receiver = startTracedReceiver();
    const site = await siteWith("embedded", {});
    const key = await makeKey(site);
    await using server = await startServer(site);
    const traceparent = `00-${TRACE}-${PARENT}-01`;
    const body = (name: string) => toWebm(name, { webhook_url: receiver.url });
    await submit({ url: server.url, key, body: body("a.webm"), traceparent });
    await until(() => receiver.seen.length === 1, { timeoutMs: 30_000 });
    await submit({ url: server.url, key, body: body("b.webm"), traceparent: "00-not-a-trace" });
    await until(() => receiver.seen.length === 2, { timeoutMs: 30_000 });
    expect(receiver.seen).toEqual([traceparent, null]);
    receiver.stop();
  }, 60_000);
});

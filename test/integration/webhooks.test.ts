/** Webhooks from a job's row to the receiver: what is stored, what is sent, when it is tried again, and what waits for what. */
import { describe, expect, test } from "bun:test";
import { toPromise } from "xstate";
import { type CourierPorts, makeCourierLogic } from "../../actors/courier/courier.logic.ts";
import { spawnRoot } from "../../actors/spawn-root.ts";
import { makeMemoryCoordination } from "../../src/coordination/memory/memory.ts";
import { channels } from "../../src/coordination/ports.ts";
import * as writes from "../../src/jobs/attempt-writes.ts";
import { cancelJob } from "../../src/jobs/cancel.ts";
import { reapDeadWorkers } from "../../src/jobs/reap.ts";
import type { JobId } from "../../src/jobs/types.ts";
import { makeUrlGuard } from "../../src/security/outbound/url-guard.ts";
import { makeMetrics } from "../../src/telemetry/metrics.ts";
import { makeTracer } from "../../src/telemetry/tracer.ts";
import { type Delivery, listDeliveries, redeliver } from "../../src/webhooks/deliveries.ts";
import { makeProgressWebhook } from "../../src/webhooks/progress.ts";
import { parseRetryAfter, sendMessage } from "../../src/webhooks/send.ts";
import {
  ENGINES,
  makeWorker,
  manifestOf,
  mustClaim,
  openTestDatabase,
  submit,
  type TestDatabase,
} from "../faults/protocol-harness.ts";
import { SECRET, signWithSecret } from "../faults/webhook-database.ts";
import { afterFile } from "../support/cleanup.ts";
import { startReceiver } from "../support/receiver.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { until } from "../support/until.ts";

const OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const ALL = ["started", "completed", "failed", "cancelled"];
const guard = makeUrlGuard({ allowNetworks: ["127.0.0.0/8"] });

async function openDatabase(engine: (typeof ENGINES)[number]): Promise<TestDatabase> {
  const database = await openTestDatabase(engine);
  await signWithSecret(database);
  return database;
}

function startCourier({ sql }: TestDatabase, options: Partial<CourierPorts> & { readonly timeoutMs?: number } = {}) {
  const { bus } = makeMemoryCoordination();
  const { timeoutMs, ...overrides } = options;
  const logic = makeCourierLogic({
    ...{
      sql,
      bus,
      logger: silentLogger(),
      metrics: makeMetrics(),
      tracer: makeTracer({ sink: null }),
      baseMs: 20,
      pollMs: 100,
    },
    send: (delivery) =>
      sendMessage({ guard, version: "test", ...(timeoutMs === undefined ? {} : { timeoutMs }) }, delivery),
    ...overrides,
  });
  const actor = spawnRoot(logic, { id: "courier", input: { concurrency: 64 }, logger: silentLogger() });
  const ended = toPromise(actor);
  ended.catch(() => {});
  afterFile(() => {
    actor.stop();
  });
  return {
    tell: () => bus.publish(channels.webhooks, {}),
    children: () => Object.keys(actor.getSnapshot().children).length,
    async stop(): Promise<void> {
      actor.send({ type: "stop" });
      await ended;
    },
  };
}

async function complete(database: TestDatabase, jobId: JobId): Promise<void> {
  const { sql } = database;
  const lease = await mustClaim(sql, await makeWorker(sql), jobId);
  await writes.fence(sql, lease, manifestOf(lease, [`${jobId}.mp4`]), 60_000);
  expect(await writes.completeJob(sql, lease, { outputs: [{ ordinal: 0, identity: "it" }] })).toBe(true);
}

const FAILURE = { kind: "ffmpeg.failed", message: "It broke.", retryable: false, evidence: null, hint: null } as const;

async function fail(database: TestDatabase, jobId: JobId): Promise<void> {
  const lease = await mustClaim(database.sql, await makeWorker(database.sql), jobId);
  await writes.failJob(database.sql, lease, { ...FAILURE, retry: "never" }, { maxAttempts: 3 });
}

const hook = (url: string, webhookEvents: readonly string[] = ALL) => ({ webhookUrl: url, webhookEvents });

async function untilAll(database: TestDatabase, jobId: JobId, status: Delivery["status"]): Promise<Delivery[]> {
  return until(
    async () => {
      const all = await listDeliveries(database.sql, jobId);
      return all.length > 0 && all.every((one) => one.status === status) ? all : null;
    },
    { timeoutMs: 15_000, what: `every delivery to be ${status}` },
  );
}

const eventsOf = async ({ sql }: TestDatabase, jobId: JobId): Promise<string[]> =>
  (await listDeliveries(sql, jobId)).map(({ event }) => event);

for (const engine of ENGINES) {
  describe(`${engine}: what is stored with a job's change`, () => {
    test("a job that completes says so with its outputs, one that fails with its error", async () => {
      const database = await openDatabase(engine);
      const { sql } = database;
      const spec = { output: "local://out.mp4" };
      const done = await submit(database, { ...hook("https://a.example/x"), spec, metadata: { mine: 1 } });
      await complete(database, done);
      const failed = await submit(database, hook("https://a.example/x"));
      await fail(database, failed);
      const [started, completed] = await sql.query<{ event: string; body: object; host: string }>(
        "SELECT event, body, host FROM webhook_deliveries WHERE job_id = $1 ORDER BY seq",
        [done],
      );
      expect(started).toMatchObject({ event: "job.started", host: "a.example", body: { status: "processing" } });
      expect(completed?.body).toMatchObject({
        ...{ event: "job.completed", job_id: done, status: "completed", output_path: "local://out.mp4" },
        ...{ metadata: { mine: 1 }, metrics: { output_bytes: 10 }, outputs: [{ ordinal: 0, bytes: 1_000 }] },
      });
      const body = completed?.body as { timestamp: string; processing_time: number };
      expect(body.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(body.processing_time).toBeGreaterThanOrEqual(0);
      const [, said] = await sql.query<{ body: object }>(
        "SELECT body FROM webhook_deliveries WHERE job_id = $1 ORDER BY seq",
        [failed],
      );
      expect(said?.body).toMatchObject({
        event: "job.failed",
        error: "It broke.",
        error_detail: { kind: "ffmpeg.failed" },
      });
    });

    test("every way to end tells, once, and only what was asked for", async () => {
      const database = await openDatabase(engine);
      const { sql } = database;
      const queued = await submit(database, hook("https://a.example/x"));
      await cancelJob(sql, { jobId: queued, keyId: null });
      expect(await eventsOf(database, queued)).toEqual(["job.cancelled"]);
      const running = await submit(database, hook("https://a.example/x"));
      const lease = await mustClaim(sql, await makeWorker(sql), running);
      await cancelJob(sql, { jobId: running, keyId: null });
      expect(await eventsOf(database, running)).toEqual(["job.started"]);
      await writes.confirmCancelled(sql, lease);
      await writes.confirmCancelled(sql, lease);
      expect(await eventsOf(database, running)).toEqual(["job.started", "job.cancelled"]);
      const poisoned = await submit(database, hook("https://a.example/x"));
      await mustClaim(sql, await makeWorker(sql), poisoned);
      await reapDeadWorkers(sql, { ticksBehind: 0, poisonAfter: 1, limit: 10 });
      expect(await eventsOf(database, poisoned)).toEqual(["job.started", "job.failed"]);
      const quiet = await submit(database, hook("https://a.example/x", ["completed"]));
      await fail(database, quiet);
      expect(await eventsOf(database, quiet)).toEqual([]);
    });

    test("a retry is not another start, and an end that is rolled back was never told", async () => {
      const database = await openDatabase(engine);
      const { sql } = database;
      const jobId = await submit(database, hook("https://a.example/x"));
      const workerId = await makeWorker(sql);
      await writes.snooze(sql, await mustClaim(sql, workerId, jobId));
      const lease = await mustClaim(sql, workerId, jobId);
      await sql
        .transaction(async (tx) => {
          await writes.failJob(tx, lease, { ...FAILURE, retry: "never" }, { maxAttempts: 3 });
          throw new Error("no");
        })
        .catch(() => {});
      expect(await eventsOf(database, jobId)).toEqual(["job.started"]);
    });

    test("the minutes that a job made count for its key when it ends", async () => {
      const database = await openDatabase(engine);
      for (let job = 0; job < 2; job += 1) await complete(database, await submit(database));
      await fail(database, await submit(database));
      const [used] = await database.sql.query("SELECT output_seconds FROM key_usage WHERE key_id = $1", [
        database.keyId,
      ]);
      expect(used).toEqual({ output_seconds: 2 });
    });
  });

  describe(`${engine}: what the courier sends`, () => {
    test("in the order of the job's events, signed by the key's secrets, old and new", async () => {
      const database = await openDatabase(engine);
      const receiver = startReceiver(
        [SECRET, OLD_SECRET],
        (turn) => new Response(null, { status: turn < 3 ? 500 : 200 }),
      );
      const jobId = await submit(database, hook(receiver.url));
      await complete(database, jobId);
      const courier = startCourier(database);
      const all = await untilAll(database, jobId, "delivered");
      expect(receiver.received.map(({ body }) => body.event)).toEqual([
        ...["job.started", "job.started", "job.started"],
        "job.completed",
      ]);
      expect(receiver.received.every(({ verified, signatures }) => verified === 1 && signatures === 1)).toBe(true);
      expect(all[0]?.tries.map(({ status }) => status)).toEqual([500, 500, 200]);
      expect(new Set(receiver.received.map(({ id }) => id))).toEqual(new Set(all.map(({ id }) => id)));
      await database.sql.query(
        `UPDATE api_keys SET previous_webhook_secret = $2, previous_webhook_secret_until = now() + interval '1 hour'
         WHERE id = $1`,
        [database.keyId, OLD_SECRET],
      );
      await redeliver(database.sql, { jobId, deliveryId: all[1]?.id ?? "" });
      await courier.tell();
      await until(() => receiver.received.length === 5);
      expect(receiver.received[4]).toMatchObject({ id: all[1]?.id, verified: 2, signatures: 2 });
      await untilAll(database, jobId, "delivered");
      await until(() => courier.children() <= 2);
      await courier.stop();
    });

    test("410 ends everything for that URL; Retry-After and the 24 hours are kept to", async () => {
      const database = await openDatabase(engine);
      const gone = startReceiver([SECRET], () => new Response("moved away", { status: 410 }));
      const first = await submit(database, hook(gone.url));
      await complete(database, first);
      const busy = startReceiver(
        [SECRET],
        () => new Response(null, { status: 503, headers: { "retry-after": "3600" } }),
      );
      const second = await submit(database, hook(busy.url));
      await complete(database, second);
      const late = startReceiver([SECRET], () => new Response(null, { status: 500 }));
      const third = await submit(database, hook(late.url, ["completed"]));
      await complete(database, third);
      await database.sql.query("UPDATE webhook_deliveries SET expires_at = now() WHERE job_id = $1", [third]);
      const courier = startCourier(database);
      const all = await untilAll(database, first, "failed");
      expect(gone.received.length).toBe(1);
      expect(all[0]?.tries[0]).toMatchObject({ status: 410, body: "moved away" });
      await until(async () => (await listDeliveries(database.sql, second))[0]?.tries.length === 1);
      const [waiting] = await listDeliveries(database.sql, second);
      expect((waiting?.nextAt?.getTime() ?? 0) - Date.now()).toBeGreaterThan(3_500_000);
      const [expired] = await untilAll(database, third, "failed");
      expect(expired?.tries.length).toBe(1);
      await courier.stop();
    });

    test("a receiver that hangs or answers without end delays nobody else", async () => {
      const database = await openDatabase(engine);
      const release = Promise.withResolvers<Response>();
      const hanging = startReceiver([SECRET], () => release.promise);
      const endless = startReceiver([SECRET], () => {
        const chunk = new Uint8Array(64 * 1024).fill(120);
        return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(chunk) }));
      });
      const good = startReceiver([SECRET]);
      for (let n = 0; n < 12; n += 1) await fail(database, await submit(database, hook(hanging.url, ["failed"])));
      const talkative = await submit(database, hook(endless.url, ["failed"]));
      await fail(database, talkative);
      const courier = startCourier(database, { timeoutMs: 2_000 });
      await until(() => hanging.received.length === 4);
      const startedAt = performance.now();
      for (let n = 0; n < 10; n += 1) await fail(database, await submit(database, hook(good.url, ["failed"])));
      await courier.tell();
      await until(() => good.received.length === 10);
      expect(performance.now() - startedAt).toBeLessThan(2_000);
      expect(hanging.received.length).toBe(4);
      const [answer] = await untilAll(database, talkative, "delivered");
      expect(answer?.tries[0]?.body?.length).toBe(500);
      // Five failures in a row open the circuit: then one at a time is tried, after a pause.
      await until(
        async () => {
          const [row] = await database.sql.query<{ tries: number }>(
            "SELECT sum(jsonb_array_length(tries))::integer AS tries FROM webhook_deliveries WHERE url = $1",
            [hanging.url],
          );
          return (row?.tries ?? 0) >= 5;
        },
        { timeoutMs: 10_000 },
      );
      const before = hanging.received.length;
      expect(before).toBeLessThanOrEqual(8);
      release.resolve(new Response(null, { status: 204 }));
      await courier.stop();
    });
  });
}

test("nothing goes to an address that is not public, whatever its name says", async () => {
  const database = await openDatabase("pglite");
  const canary = startReceiver();
  const resolveHost = async () => ["127.0.0.1"];
  const strict = makeUrlGuard({ allowNetworks: [], resolveHost });
  const port = new URL(canary.url).port;
  const jobId = await submit(database, hook(`http://rebind.example:${port}/`, ["failed"]));
  await fail(database, jobId);
  const courier = startCourier(database, { send: (one) => sendMessage({ guard: strict, version: "test" }, one) });
  const [delivery] = await until(async () => {
    const all = await listDeliveries(database.sql, jobId);
    return (all[0]?.tries.length ?? 0) > 0 ? all : null;
  });
  expect(delivery?.tries[0]).toMatchObject({
    status: null,
    error: expect.stringContaining("not on the public internet"),
  });
  expect(canary.received).toEqual([]);
  await courier.stop();
});

test("progress is sent now and then, one at a time, and is not stored", async () => {
  const database = await openDatabase("pglite");
  const jobId = await submit(database, hook("https://a.example/", ["progress"]));
  const { job } = await cancelJob(database.sql, { jobId, keyId: null });
  if (job === null) throw new Error("There is no job.");
  const sent: unknown[] = [];
  const answer = Promise.withResolvers<void>();
  let nowMs = 0;
  const send = async (message: unknown): Promise<void> => {
    sent.push(message);
    await answer.promise;
  };
  const progress = makeProgressWebhook({ sql: database.sql, send, now: () => nowMs }, job);
  const figures = { jobId, stage: "encoding", progress: 50, fps: 25, speed: 1, etaSeconds: 3 } as const;
  const first = progress?.(figures);
  await until(() => sent.length === 1);
  nowMs = 60_000;
  await progress?.(figures);
  expect(sent.length).toBe(1);
  answer.resolve();
  await first;
  await progress?.(figures);
  nowMs += 9_999;
  await progress?.(figures);
  expect(sent.length).toBe(2);
  expect(sent[1]).toMatchObject({ secrets: [SECRET], body: { event: "job.progress", progress: 50, eta_seconds: 3 } });
  expect(makeProgressWebhook({ sql: database.sql, send }, { ...job, webhookEvents: ["completed"] })).toBeNull();
});

test("Retry-After is seconds or a date, within a day", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  expect(parseRetryAfter("120", now)).toBe(120_000);
  expect(parseRetryAfter("Thu, 01 Jan 2026 00:01:00 GMT", now)).toBe(60_000);
  expect(parseRetryAfter("Thu, 01 Jan 2025 00:01:00 GMT", now)).toBe(0);
  expect(parseRetryAfter("999999999", now)).toBe(86_400_000);
  expect(parseRetryAfter("soon", now)).toBeNull();
  expect(parseRetryAfter(undefined, now)).toBeNull();
});

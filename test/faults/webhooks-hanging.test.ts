/** What other receivers notice of one that takes each request and never answers: the time from a job's end to its webhook. */
import { expect, test } from "bun:test";
import { makeCourierLogic } from "../../actors/courier/courier.logic.ts";
import { spawnRoot } from "../../actors/spawn-root.ts";
import { makeMemoryCoordination } from "../../src/coordination/memory/memory.ts";
import { channels } from "../../src/coordination/ports.ts";
import { cancelJob } from "../../src/jobs/cancel.ts";
import { makeUrlGuard } from "../../src/security/outbound/url-guard.ts";
import { makeMetrics } from "../../src/telemetry/metrics.ts";
import { makeTracer } from "../../src/telemetry/tracer.ts";
import { sendMessage } from "../../src/webhooks/send.ts";
import { afterFile } from "../support/cleanup.ts";
import { testEnv } from "../support/env.ts";
import { startReceiver } from "../support/receiver.ts";
import { silentLogger } from "../support/silent-logger.ts";
import { until } from "../support/until.ts";
import { submit } from "./protocol-harness.ts";
import { openWebhookDatabase, SECRET } from "./webhook-database.ts";

/** Of each kind of round; a p99 wants a thousand. */
const DELIVERIES = testEnv().long ? 1_500 : 150;
const AT_ONCE = 5;
const HANGING = 300;

const p99 = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;

async function open() {
  const { sql, keyId } = await openWebhookDatabase(8);
  const { bus } = makeMemoryCoordination();
  const guard = makeUrlGuard({ allowNetworks: ["127.0.0.0/8"] });
  const logic = makeCourierLogic({
    ...{ sql, bus, logger: silentLogger(), metrics: makeMetrics(), tracer: makeTracer({ sink: null }) },
    send: (delivery) => sendMessage({ guard, version: "test" }, delivery),
  });
  const actor = spawnRoot(logic, { id: "courier", input: { concurrency: 32 }, logger: silentLogger() });
  afterFile(() => {
    actor.stop();
  });
  /** Ends a job that tells `receiver`; when that was committed. */
  const end = async (receiver: string): Promise<{ jobId: string; atMs: number }> => {
    const jobId = await submit({ sql, keyId }, { webhookUrl: receiver, webhookEvents: ["cancelled"] });
    await cancelJob(sql, { jobId, keyId });
    const atMs = performance.now();
    await bus.publish(channels.webhooks, {});
    return { jobId, atMs };
  };
  return { sql, end };
}

test(
  "one receiver that hangs does not slow the others",
  async () => {
    const { sql, end } = await open();
    const good = startReceiver([SECRET]);
    const hung: PromiseWithResolvers<Response>[] = [];
    const hanging = startReceiver([SECRET], () => {
      const answer = Promise.withResolvers<Response>();
      hung.push(answer);
      return answer.promise;
    });
    const round = async (): Promise<number[]> => {
      const ended: { jobId: string; atMs: number }[] = [];
      for (let n = 0; n < DELIVERIES; n += AT_ONCE) {
        ended.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => end(good.url)))));
        await until(() => good.received.length >= total + ended.length, { timeoutMs: 20_000, intervalMs: 2 });
      }
      total += ended.length;
      const arrived = new Map(good.received.map(({ body, at }) => [body.job_id, at]));
      return ended.map(({ jobId, atMs }) => (arrived.get(jobId) ?? Number.POSITIVE_INFINITY) - atMs);
    };
    let total = 0;
    await end(good.url);
    await until(() => good.received.length === 1);
    total = 1;
    const calm = await round();
    for (let n = 0; n < HANGING; n += 1) await end(hanging.url);
    await until(() => hung.length > 0, { what: "a request to hang" });
    const beside = await round();
    const [left] = await sql.query<{ count: number }>(
      "SELECT count(*)::integer AS count FROM webhook_deliveries WHERE status = 'pending'",
    );
    expect(left?.count).toBe(HANGING);
    // What hangs holds a few requests and no more.
    expect(hanging.received.length).toBeLessThanOrEqual(20);
    const [before, now] = [p99(calm), p99(beside)];
    console.log(
      `p99 from commit to arrival: ${before.toFixed(1)} ms alone, ${now.toFixed(1)} ms beside one that hangs`,
    );
    // Waiting for the receiver that hangs would cost its ten seconds.
    expect(now).toBeLessThan(2 * before + 250);
    for (const { resolve } of hung) resolve(new Response(null));
  },
  testEnv().long ? 300_000 : 60_000,
);

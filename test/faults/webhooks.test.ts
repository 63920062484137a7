/** Webhooks whose couriers are killed again and again, to a receiver that fails half the time. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import * as writes from "../../src/jobs/attempt-writes.ts";
import { afterFile } from "../support/cleanup.ts";
import { testEnv } from "../support/env.ts";
import { startReceiver } from "../support/receiver.ts";
import { until } from "../support/until.ts";
import { makeWorker, mustClaim, submit } from "./protocol-harness.ts";
import { openWebhookDatabase, SECRET } from "./webhook-database.ts";

const JOBS = testEnv().long ? 500 : 40;
const COURIERS = 2;
const FAILURE = { kind: "ffmpeg.failed", message: "It broke.", retryable: false, evidence: null, hint: null } as const;

test(
  `${JOBS * 2} deliveries: each arrives at least once, signed, and a job's start before its end`,
  async () => {
    const { url, sql, keyId } = await openWebhookDatabase(4);
    // Every second answer is a failure, after the event was taken: the receiver sees it again.
    const receiver = startReceiver([SECRET], (turn) => new Response(null, { status: turn % 2 === 0 ? 500 : 200 }));
    const workerId = await makeWorker(sql);
    for (let n = 0; n < JOBS; n += 1) {
      const jobId = await submit({ sql, keyId }, { webhookUrl: receiver.url, webhookEvents: ["started", "failed"] });
      const lease = await mustClaim(sql, workerId, jobId);
      await writes.failJob(sql, lease, { ...FAILURE, retry: "never" }, { maxAttempts: 1 });
    }
    const spawn = () =>
      Bun.spawn([process.execPath, join(import.meta.dir, "fixtures/courier.ts"), url, "1000"], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "inherit",
      });
    const couriers = Array.from({ length: COURIERS }, spawn);
    afterFile(() => {
      for (const courier of couriers) courier.kill("SIGKILL");
    });
    let kills = 0;
    let seen = 0;
    await until(
      async () => {
        // One is killed whenever some more have arrived: so each kill finds deliveries under way.
        if (receiver.received.length >= seen + 15) {
          seen = receiver.received.length;
          couriers[kills % COURIERS]?.kill("SIGKILL");
          couriers[kills % COURIERS] = spawn();
          kills += 1;
        }
        const [row] = await sql.query<{ left: number }>(
          "SELECT count(*)::integer AS left FROM webhook_deliveries WHERE status <> 'delivered'",
        );
        return row?.left === 0;
      },
      { timeoutMs: testEnv().long ? 300_000 : 50_000, what: "all deliveries" },
    );
    const rows = await sql.query<{ id: string }>("SELECT id FROM webhook_deliveries");
    expect(rows.length).toBe(JOBS * 2);
    const { received } = receiver;
    expect(received.every(({ verified }) => verified === 1)).toBe(true);
    expect(new Set(received.map(({ id }) => id))).toEqual(new Set(rows.map(({ id }) => id)));
    const first = new Map<string, number>();
    received.forEach(({ body }, index) => {
      const name = `${body.job_id} ${body.event}`;
      if (!first.has(name)) first.set(name, index);
    });
    for (const jobId of new Set(received.map(({ body }) => body.job_id))) {
      expect(first.get(`${jobId} job.started`) ?? 0).toBeLessThan(first.get(`${jobId} job.failed`) ?? -1);
    }
    expect(kills).toBeGreaterThanOrEqual(5);
    console.log(`${rows.length} deliveries, ${received.length} requests, ${kills} couriers killed`);
  },
  testEnv().long ? 320_000 : 60_000,
);

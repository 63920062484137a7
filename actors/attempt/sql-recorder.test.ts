import { expect, test } from "bun:test";
import { makeMemoryCoordination } from "../../src/coordination/memory/memory.ts";
import { channels } from "../../src/coordination/ports.ts";
import type { Sql } from "../../src/database/sql.ts";
import type { Claim } from "../../src/jobs/types.ts";
import { silentLogger } from "../../test/support/silent-logger.ts";
import { makeSqlRecorder } from "./sql-recorder.ts";

/** How often a courier is told to look when a job like this ends. */
async function toldBy(job: { readonly webhookUrl: string | null; readonly batchId: string | null }): Promise<number> {
  const coordination = makeMemoryCoordination();
  const heard = Promise.withResolvers<void>();
  let told = 0;
  await coordination.bus.subscribe(channels.webhooks, () => {
    told += 1;
  });
  // Messages arrive in the order in which they were published, so this one comes after the recorder's.
  await coordination.bus.subscribe("after", () => heard.resolve());
  const sql = { query: async () => [{ cancelled: true }] } as unknown as Sql;
  const recorder = makeSqlRecorder(
    {
      ...{ sql, coordination, logger: silentLogger(), maxAttempts: 1, publishTimeoutMs: 1_000 },
      sendWebhook: async () => {},
    },
    { job: { id: "job", webhookEvents: [], ...job }, lease: { jobId: "job", leaseToken: 1 } } as unknown as Claim,
  );
  expect(await recorder.cancelled()).toBe(true);
  await coordination.bus.publish("after", {});
  await heard.promise;
  return told;
}

test("the courier is told of an end that may have made a webhook: the job's own or its batch's", async () => {
  expect(await toldBy({ webhookUrl: null, batchId: null })).toBe(0);
  expect(await toldBy({ webhookUrl: "https://example.com/", batchId: null })).toBe(1);
  expect(await toldBy({ webhookUrl: null, batchId: "batch" })).toBe(1);
});

test("an attempt goes on while its listeners are told of a stage, also when the bus does not answer", async () => {
  const told = Promise.withResolvers<void>();
  const coordination = makeMemoryCoordination();
  const bus = {
    ...coordination.bus,
    publish(): Promise<never> {
      told.resolve();
      return new Promise(() => {});
    },
  };
  const sql = { query: async () => [{ id: "job" }] } as unknown as Sql;
  const recorder = makeSqlRecorder(
    {
      ...{
        sql,
        coordination: { ...coordination, bus },
        logger: silentLogger(),
        maxAttempts: 1,
        publishTimeoutMs: 1_000,
      },
      sendWebhook: async () => {},
    },
    { job: { id: "job", webhookEvents: [] }, lease: { jobId: "job", leaseToken: 1 } } as unknown as Claim,
  );
  expect(await recorder.stage("uploading")).toBe(true);
  await told.promise;
});

/** Batches on both engines: made together or not at all, followed and cancelled together, told of once. */
import { afterAll, describe, expect, test } from "bun:test";
import { listen } from "../../plugins/listen.ts";
import { publishChange } from "../../src/events/messages.ts";
import * as writes from "../../src/jobs/attempt-writes.ts";
import { deleteExpiredBatches } from "../../src/jobs/batch.ts";
import { cancelJob } from "../../src/jobs/cancel.ts";
import type { JobId } from "../../src/jobs/types.ts";
import { ENGINES, makeWorker, manifestOf, mustClaim, openTestDatabase } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until, within } from "../support/until.ts";
import { CAPABILITIES, makeTestHttp } from "./http-harness.ts";

const item = (n: number, more: object = {}) => ({
  ...{ type: "convert", input_path: `in/${n}.mov`, output_path: `out/${n}.mp4` },
  ...more,
});
const WRONG = item(9, { operations: [{ type: "transcode", video_codec: "h264", crf: 99 }] });

interface Created {
  readonly batch_id: string;
  readonly jobs: readonly { readonly id: JobId; readonly batch_id: string }[];
  readonly rejected: readonly { readonly index: number; readonly error: { readonly code: string } }[];
}

describe.each([...ENGINES])("batches on %s", async (engine) => {
  const { sql } = await openTestDatabase(engine);
  const http = makeTestHttp({ sql, root: await makeTempDir("http-batch") });
  const server = listen(http.app, { host: "127.0.0.1", port: 0 });
  afterAll(() => server.stop(false));
  const { key } = await http.key();
  const call = async (method: string, path: string, json?: unknown, headers: Record<string, string> = {}, as = key) => {
    const answer = await http.call(method, path, { key: as, headers, ...(json === undefined ? {} : { json }) });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const create = async (body: object): Promise<Created> => {
    const { status, body: made } = await call("POST", "/batch", body);
    expect(status).toBe(201);
    return made as unknown as Created;
  };
  const jobsCount = async (): Promise<number> =>
    (await sql.query<{ n: number }>("SELECT count(*)::integer AS n FROM jobs"))[0]?.n ?? 0;
  const complete = async (jobId: JobId): Promise<void> => {
    const lease = await mustClaim(sql, await makeWorker(sql), jobId);
    await writes.fence(sql, lease, manifestOf(lease, [`${jobId}.mp4`]), 60_000);
    await writes.completeJob(sql, lease, { outputs: [{ ordinal: 0, identity: "it" }] });
    await publishChange(http.coordination.bus, jobId);
  };

  test("in part: what is wrong is named with its place, and the rest is made", async () => {
    const items = [item(1), WRONG, item(2), item(3, { input_path: "nowhere://x" })];
    const { batch_id: id, jobs, rejected } = await create({ items, metadata: { of: "tests" } });
    expect(jobs.map((job) => job.batch_id)).toEqual([id, id]);
    expect(rejected).toMatchObject([
      { index: 1, error: { code: "VALIDATION_ERROR", details: [{ path: "operations[0].crf" }] } },
      { index: 3, error: { code: "UNSUPPORTED" } },
    ]);
    const { body } = await call("GET", `/batch/${id}`);
    expect(body).toMatchObject({
      ...{ id, status: "queued", progress: 0, mode: "partial", metadata: { of: "tests" }, completed_at: null },
      ...{ counts: { total: 2, queued: 2, rejected: 2 }, rejected: [{ index: 1 }, { index: 3 }] },
    });
    expect((await call("GET", `/jobs?batch_id=${id}`)).body).toMatchObject({ total: 2 });
  });

  test("what no single kind of worker can run is that item's problem, and nobody else's", async () => {
    const { libx265: _, ...encoders } = CAPABILITIES.encoders;
    const kinds = ["one", "other"].map((name) => ({ name, capabilities: { ...CAPABILITIES, encoders } }));
    const { app } = makeTestHttp({ sql, root: await makeTempDir("http-batch"), services: { kinds: () => kinds } });
    const h265 = item(2, { operations: [{ type: "transcode", video_codec: "h265" }] });
    const request = { method: "POST", headers: { "x-api-key": key, "content-type": "application/json" } };
    const send = async (items: readonly object[]) => {
      const answer = await app.handle(
        new Request("http://localhost/api/v1/batch", { ...request, body: JSON.stringify({ items }) }),
      );
      return { status: answer.status, body: await answer.json() };
    };
    expect(await send([item(1), h265])).toMatchObject({
      status: 201,
      body: { jobs: [{ batch_id: expect.any(String) }], rejected: [{ index: 1, error: { code: "UNSUPPORTED" } }] },
    });
    const path = "items[0].operations[0].video_codec";
    expect(await send([h265])).toMatchObject({
      ...{ status: 422, body: { error: { code: "UNSUPPORTED", details: [{ path }] } } },
    });
  });

  test("whole: one wrong item and there is nothing; the problems say which", async () => {
    const before = await jobsCount();
    const { status, body } = await call("POST", "/batch", { mode: "atomic", items: [item(1), WRONG] });
    expect([status, body]).toMatchObject([400, { error: { details: [{ path: "items[1].operations[0].crf" }] } }]);
    expect((await call("POST", "/batch", { items: [WRONG] })).status).toBe(400);
    const bad = [{}, { items: [] }, { items: Array(101).fill(item(1)) }, { items: [{ type: "x" }] }, { items: [7] }];
    for (const json of bad) expect((await call("POST", "/batch", json)).status).toBe(400);
    expect(await jobsCount()).toBe(before);
    expect((await create({ mode: "atomic", items: [item(1), item(2)] })).jobs.length).toBe(2);
  });

  test("the same Idempotency-Key makes one batch, and gives the same answer", async () => {
    const before = await jobsCount();
    const once = { "idempotency-key": `batch-${engine}` };
    const answers = [
      await call("POST", "/batch", { items: [item(1), WRONG] }, once),
      await call("POST", "/batch", { items: [item(1), WRONG] }, once),
    ];
    expect(answers[1]).toEqual(answers[0] as never);
    expect(await jobsCount()).toBe(before + 1);
  });

  test("it ends with its last job, and says so once", async () => {
    const webhook = { webhook_url: "https://a.example/" };
    const { batch_id: id, jobs } = await create({ items: [item(1), item(2), item(3)], ...webhook });
    const [first, second, third] = jobs.map((job) => job.id) as [JobId, JobId, JobId];
    await complete(first);
    await cancelJob(sql, { jobId: second, keyId: null });
    const half = (await call("GET", `/batch/${id}`)).body as { progress: number; status: string };
    expect([half.status, half.progress]).toEqual(["processing", 66.7]);
    const hooks = () =>
      sql.query<{ event: string; body: object }>("SELECT event, body FROM webhook_deliveries WHERE batch_id = $1", [
        id,
      ]);
    expect(await hooks()).toEqual([]);
    await complete(third);
    expect(await hooks()).toMatchObject([
      {
        event: "batch.completed",
        body: { batch_id: id, counts: { total: 3, completed: 2, cancelled: 1, failed: 0, rejected: 0 } },
      },
    ]);
    const { body } = await call("GET", `/batch/${id}`);
    expect(body).toMatchObject({ status: "completed", progress: 100, completed_at: expect.any(String) });
    await sql.query("DELETE FROM jobs WHERE batch_id = $1", [id]);
    expect(await deleteExpiredBatches(sql, { olderThanMs: 0, limit: 10 })).toBe(1);
    expect((await call("GET", `/batch/${id}`)).status).toBe(404);
  });

  test("jobs that end at the same moment end the batch once", async () => {
    const items = Array.from({ length: 8 }, (_, n) => item(n));
    const { batch_id: id, jobs } = await create({ items, webhook_url: "https://a.example/" });
    await Promise.all(jobs.map((job) => cancelJob(sql, { jobId: job.id, keyId: null })));
    const rows = await sql.query("SELECT event FROM webhook_deliveries WHERE batch_id = $1", [id]);
    expect(rows).toEqual([{ event: "batch.completed" }]);
  });

  test("a cancel ends what has not ended, and what has cannot be", async () => {
    const { batch_id: id, jobs } = await create({ items: [item(1), item(2)] });
    await complete(jobs[0]?.id as JobId);
    const { status, body } = await call("DELETE", `/batch/${id}`);
    expect([status, body]).toMatchObject([200, { status: "completed", counts: { completed: 1, cancelled: 1 } }]);
    expect((await call("DELETE", `/batch/${id}`)).status).toBe(409);
  });

  test("another tenant's batch is not there", async () => {
    const { batch_id: id } = await create({ items: [item(1)] });
    const other = (await http.key()).key;
    for (const [method, path] of [
      ["GET", id],
      ["DELETE", id],
      ["GET", `${id}/events`],
      ["GET", "x"],
    ] as const) {
      expect((await call(method, `/batch/${path}`, undefined, {}, other)).status).toBe(404);
    }
  });

  test("its events are one stream, which resumes without a gap or a repeat and ends with the last job", async () => {
    const { batch_id: id, jobs } = await create({ items: [item(1), item(2)] });
    const open = (last: string | null) =>
      fetch(`${server.url}/api/v1/batch/${id}/events`, {
        headers: { "x-api-key": key, ...(last === null ? {} : { "last-event-id": last }) },
      });
    const seen: string[] = [];
    let last: string | null = null;
    /** Reads until `enough` have been seen or the stream ends. */
    const read = async (enough: number): Promise<void> => {
      const response = await open(last);
      let text = "";
      for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += chunk;
        for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
          const block = text.slice(0, end);
          text = text.slice(end + 2);
          const place = /^id: (.*)$/m.exec(block)?.[1];
          const data = /^data: (.*)$/m.exec(block)?.[1];
          if (place === undefined || data === undefined || seen.length >= enough) continue;
          last = place;
          const event = JSON.parse(data) as { job_id: string; seq: number };
          seen.push(`${event.job_id} ${event.seq}`);
        }
        if (seen.length >= enough) return;
      }
    };
    await within(read(1), 5_000);
    await within(read(2), 5_000);
    const rest = read(Number.POSITIVE_INFINITY);
    await until(() => http.app.context.connections.size > 0);
    for (const job of jobs) await complete(job.id);
    await within(rest, 10_000);
    const [{ n } = { n: 0 }] = await sql.query<{ n: number }>(
      "SELECT count(*)::integer AS n FROM job_logs WHERE job_id = ANY ($1::uuid[])",
      [jobs.map((job) => job.id)],
    );
    expect(seen.length).toBe(n);
    expect(new Set(seen).size).toBe(n);
    expect((await open(last)).status).toBe(204);
    expect((await open("1.2.3")).status).toBe(400);
  });
});

/** Jobs through the API on both engines: made, read, listed, changed, cancelled, retried, and only by their owner. */
import { describe, expect, test } from "bun:test";
import { jobPageSchema, jobSchema } from "../../plugins/jobs/job.schema.ts";
import { names } from "../../src/coordination/ports.ts";
import { fence } from "../../src/jobs/fence.ts";
import { completeJob, confirmCancelled } from "../../src/jobs/finish.ts";
import type { Lease } from "../../src/jobs/types.ts";
import { ENGINES, makeWorker, manifestOf, mustClaim, openTestDatabase } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { type CallOptions, makeTestHttp } from "./http-harness.ts";

type Json = Record<string, unknown> & { id: string };

const CONVERT = { input_path: "in/a.mov", output_path: "out/a.mp4", operations: [{ type: "scale", width: 64 }] };

describe.each([...ENGINES])("on %s", async (engine) => {
  const { sql } = await openTestDatabase(engine);
  const http = makeTestHttp({ sql, root: await makeTempDir("http-jobs") });
  const worker = await makeWorker(sql);
  const { key } = await http.key();
  const other = await http.key();
  const admin = await http.key({ role: "admin" });

  const call = async (method: string, path: string, options: CallOptions = {}) => {
    const answer = await http.call(method, path, { key, ...options });
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Json };
  };
  const create = async (overrides: object = {}, options: CallOptions = {}): Promise<Json> => {
    const { status, body } = await call("POST", "/convert", { json: { ...CONVERT, ...overrides }, ...options });
    expect([status, body]).toEqual([201, body]);
    return body;
  };
  const claim = (id: string): Promise<Lease> => mustClaim(sql, worker, id as Lease["jobId"]);
  const publish = async (id: string, key0 = `out/${id}.mp4`): Promise<void> => {
    const lease = await claim(id);
    const identity = await http.storage.write(key0, new TextEncoder().encode("0123456789"));
    expect(await fence(sql, lease, manifestOf(lease, [key0]), 60_000)).toBe("fenced");
    await completeJob(sql, lease, { outputs: [{ ordinal: 0, identity }] });
  };

  test("a job is made with all that was asked, and a hint says that it can be claimed", async () => {
    const job = await create({ priority: "high", metadata: { project: "x", take: 3 }, options: { faststart: true } });
    expect(jobSchema.parse(job)).toEqual(job as never);
    expect(job).toMatchObject({
      type: "convert",
      status: "queued",
      priority: "high",
      input_path: "local://in/a.mov",
      operations: [{ type: "scale", width: 64 }],
      options: { faststart: true },
      metadata: { project: "x", take: 3 },
      links: { self: `http://localhost/api/v1/jobs/${job.id}`, ws: `ws://localhost/api/v1/jobs/${job.id}/ws` },
    });
    expect(http.coordination.hints.map(({ jobId }) => jobId)).toContain(job.id);
    expect((await call("GET", `/jobs/${job.id}`)).body).toEqual(job);
  });

  test("aliases mean the same", async () => {
    const { body } = await call("POST", "/convert", {
      json: { input: "in/a.mov", output: "out/b.mp4", options: { priority: "low" } },
    });
    expect(body).toMatchObject({
      input_path: "local://in/a.mov",
      output_path: "local://out/b.mp4",
      priority: "low",
    });
  });

  test("what cannot work is refused by name when it is asked for", async () => {
    const cases: readonly [object, number, string, string][] = [
      [{ input_path: undefined }, 400, "VALIDATION_ERROR", "input_path"],
      [{ output_path: "in/a.mov" }, 400, "VALIDATION_ERROR", "output_path"],
      [
        { operations: [{ type: "thumbnail", output: "a.mov" }], output_path: "in/b.mp4" },
        400,
        "VALIDATION_ERROR",
        "operations[0].output",
      ],
      [{ input: "other.mov" }, 400, "VALIDATION_ERROR", "input"],
      [{ inptu_path: "x" }, 400, "VALIDATION_ERROR", "inptu_path"],
      [{ priority: "urgent" }, 400, "VALIDATION_ERROR", "priority"],
      [{ priority: "high", options: { priority: "low" } }, 400, "VALIDATION_ERROR", "options.priority"],
      [{ options: { fastart: true } }, 400, "VALIDATION_ERROR", "options.fastart"],
      [{ metadata: { big: "x".repeat(20_000) } }, 400, "VALIDATION_ERROR", "metadata"],
      [{ operations: Array(51).fill({ type: "scale", width: 2 }) }, 400, "VALIDATION_ERROR", "operations"],
      [
        { operations: [{ type: "transcode", video_codec: "h264", crf: 99 }] },
        400,
        "VALIDATION_ERROR",
        "operations[0].crf",
      ],
      [{ operations: [{ type: "scal", width: 64 }] }, 400, "VALIDATION_ERROR", "operations[0].type"],
      [{ input_path: "nowhere://a" }, 422, "UNSUPPORTED", "input_path"],
      [{ output_path: "archive://a.mp4" }, 422, "UNSUPPORTED", "output_path"],
      [{ options: { preset: "wob" } }, 400, "VALIDATION_ERROR", "options.preset"],
    ];
    for (const [overrides, status, code, path] of cases) {
      const answer = await call("POST", "/convert", { json: { ...CONVERT, ...overrides } });
      const { error } = answer.body as unknown as { error: { code: string; details: { path: string }[] } };
      expect([overrides, answer.status, error.code]).toEqual([overrides, status, code]);
      expect([overrides, error.details.map((detail) => detail.path)]).toEqual([
        overrides,
        expect.arrayContaining([path]),
      ]);
    }
  });

  test("a key uses only the operations and the storage it is allowed", async () => {
    const limited = await http.key({
      allowed_operations: ["trim"],
      read_backends: ["archive"],
      write_backends: ["local"],
    });
    const ask = (json: object) => call("POST", "/convert", { key: limited.key, json });
    expect((await ask({ ...CONVERT, input_path: "archive://a.mov" })).status).toBe(403);
    expect((await ask({ ...CONVERT, operations: [] })).status).toBe(403);
    expect((await ask({ ...CONVERT, input_path: "archive://a.mov", operations: [] })).status).toBe(201);
    expect((await call("POST", "/probe", { key: limited.key, json: { input: "local://a.mov" } })).status).toBe(403);
    expect((await call("POST", "/probe", { key: limited.key, json: { input: "archive://a.mov" } })).status).toBe(200);
  });

  test("a dry run answers the plan and stores nothing", async () => {
    const before = (await call("GET", "/jobs")).body.total;
    const { status, body } = await call("POST", "/convert?dry_run=true", { json: CONVERT });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      steps: [{ argv: ["-i", "file:in/0", "-c:v", "libx264", "file:out/0.mp4"], filter_graph: "[0:v]scale=64:48[v]" }],
      warnings: ["a warning"],
    });
    expect((await call("GET", "/jobs")).body.total).toBe(before);
    expect((await call("POST", "/convert?dry_run=maybe", { json: CONVERT })).status).toBe(400);
  });

  test("another tenant's job is not there, whatever is asked of it; an administrator reaches it by its id", async () => {
    const { id } = await create();
    const calls: readonly [string, string, CallOptions?][] = [
      ["GET", ""],
      ["PATCH", "", { json: { priority: "low" } }],
      ["DELETE", ""],
      ["POST", "/retry"],
      ["GET", "/logs"],
      ["GET", "/outputs"],
      ["DELETE", "/outputs"],
      ["GET", "/events"],
      ["GET", "/ws"],
    ];
    for (const [method, path, options] of calls) {
      const theirs = await call(method, `/jobs/${id}${path}`, { ...options, key: other.key });
      const nobodys = await call(method, `/jobs/0193a000-0000-7000-8000-000000000001${path}`, { ...options, key });
      expect([method, path, theirs.status]).toEqual([method, path, 404]);
      const message = (answer: typeof theirs) =>
        (answer.body as unknown as { error: { message: string } }).error.message;
      expect(message(theirs)).toBe(message(nobodys));
    }
    expect((await call("GET", `/jobs/${id}`, { key: admin.key })).status).toBe(200);
    const listed = (await call("GET", "/jobs", { key: admin.key })).body.items as Json[];
    expect(listed.map((job) => job.id)).not.toContain(id);
    expect((await call("GET", `/jobs/${id}`)).body.status).toBe("queued");
  });

  test("lists filter, sort and turn pages both ways", async () => {
    const mine = (await http.key()).key;
    const made: string[] = [];
    for (let index = 0; index < 5; index++) {
      made.push((await create({ metadata: { index, even: index % 2 === 0, "a.b": "c" } }, { key: mine })).id);
    }
    const list = async (query: string) => {
      const { body } = await call("GET", `/jobs?${query}`, { key: mine });
      return { ...jobPageSchema.parse(body), ids: (body.items as Json[]).map(({ id }) => made.indexOf(id)) };
    };
    expect(await list("")).toMatchObject({ ids: [4, 3, 2, 1, 0], total: 5, page: 1, has_next: false, has_prev: false });
    expect((await list("sort=created_at")).ids).toEqual([0, 1, 2, 3, 4]);
    expect(await list("page=2&page_size=2")).toMatchObject({ ids: [2, 1], has_next: true, has_prev: true });
    const first = await list("page_size=2");
    const second = await list(`page_size=2&cursor=${first.next_cursor}`);
    expect(second).toMatchObject({ ids: [2, 1], page: null, has_prev: true });
    expect((await list("metadata.even=true")).ids).toEqual([4, 2, 0]);
    expect((await list("metadata.index=3")).ids).toEqual([3]);
    expect((await list("metadata.a.b=c&metadata.index=1")).ids).toEqual([1]);
    expect((await list("status=queued,failed&type=convert")).ids.length).toBe(5);
    expect((await list("status=completed&status=failed")).ids).toEqual([]);
    expect((await list("created_after=2999-01-01T00:00:00Z")).ids).toEqual([]);
    for (const query of [
      "status=done",
      "page=0",
      "page_size=101",
      "cursor=x",
      "sort=id",
      "nope=1",
      "batch_id=1",
      "page=x",
    ]) {
      expect([query, (await call("GET", `/jobs?${query}`, { key: mine })).status]).toEqual([query, 400]);
    }
  });

  test("a running job shows its live figures, of which none outlive the run", async () => {
    const { id } = await create();
    await claim(id);
    const live = { stage: "encoding", percent: "42.5", fps: "30", speed: "1.5", eta: "12" };
    await http.coordination.cache.setFields(names.progress(id), live, 60_000);
    expect((await call("GET", `/jobs/${id}`)).body).toMatchObject({
      status: "processing",
      progress: 42.5,
      fps: 30,
      speed: 1.5,
      eta_seconds: 12,
      worker_id: worker,
      attempt: 1,
    });
    await http.coordination.cache.setFields(names.progress(id), { stage: "encoding", percent: "broken" }, 60_000);
    expect((await call("GET", `/jobs/${id}`)).body).toMatchObject({ status: "processing", fps: null });
  });

  test("priority changes while a job is open", async () => {
    const { id } = await create();
    expect((await call("PATCH", `/jobs/${id}`, { json: { priority: "high" } })).body.priority).toBe("high");
    expect(http.coordination.hints.findLast(({ jobId }) => jobId === id)?.priority).toBe("high");
    expect((await call("PATCH", `/jobs/${id}`, { json: { priority: "top" } })).status).toBe(400);
    expect((await call("PATCH", `/jobs/${id}`, { json: { prority: "low" } })).status).toBe(400);
    await call("DELETE", `/jobs/${id}`);
    expect((await call("PATCH", `/jobs/${id}`, { json: { priority: "low" } })).status).toBe(409);
  });

  test("a queued job is cancelled at once; one that has ended cannot be", async () => {
    const { id } = await create();
    const answer = await call("DELETE", `/jobs/${id}`);
    expect([answer.status, answer.body.status]).toEqual([200, "cancelled"]);
    expect(http.coordination.hints.some(({ jobId }) => jobId === id)).toBe(false);
    expect((await call("DELETE", `/jobs/${id}`)).status).toBe(409);
  });

  test("cancelling a running job waits for the worker to end it", async () => {
    const { id } = await create();
    const lease = await claim(id);
    const cancelling = call("DELETE", `/jobs/${id}`);
    const nudge = () =>
      http.coordination.published.some(({ channel, message }) => channel === "cancel" && message.job_id === id);
    await until(nudge, { what: "the nudge" });
    await confirmCancelled(sql, lease);
    await http.coordination.bus.publish(`events:${id}`, {});
    const answer = await cancelling;
    expect([answer.status, answer.body.status]).toEqual([200, "cancelled"]);
  });

  test("a job that is being published cannot be cancelled", async () => {
    const { id } = await create();
    const lease = await claim(id);
    await fence(sql, lease, manifestOf(lease, [`out/${id}`]), 60_000);
    expect((await call("DELETE", `/jobs/${id}`)).status).toBe(409);
  });

  test("a job that has ended is run again as a new one", async () => {
    const { id } = await create({ metadata: { a: 1 }, priority: "low" });
    expect((await call("POST", `/jobs/${id}/retry`)).status).toBe(409);
    await call("DELETE", `/jobs/${id}`);
    const { status, body } = await call("POST", `/jobs/${id}/retry`);
    expect(status).toBe(201);
    expect(body).toMatchObject({ status: "queued", retry_of: id, metadata: { a: 1 }, priority: "low" });
    expect(http.coordination.hints.map(({ jobId }) => jobId)).toContain(body.id);
  });

  test("a retry may go to workers that the old job could not", async () => {
    const { id } = await create();
    await sql.query("UPDATE jobs SET unfit = '{gone}' WHERE id = $1", [id]);
    await call("DELETE", `/jobs/${id}`);
    const { body } = await call("POST", `/jobs/${id}/retry`);
    expect(await sql.query("SELECT unfit FROM jobs WHERE id = $1", [body.id])).toEqual([{ unfit: [] }]);
  });

  test("logs are pages of durable events", async () => {
    const { id } = await create();
    await call("PATCH", `/jobs/${id}`, { json: { priority: "high" } });
    await call("DELETE", `/jobs/${id}`);
    const all = (await call("GET", `/jobs/${id}/logs`)).body as unknown as { items: Json[]; next_after: number | null };
    expect(all.items.map(({ seq, type }) => [seq, type])).toEqual([
      [1, "job.queued"],
      [2, "job.priority_changed"],
      [3, "job.cancelled"],
    ]);
    expect(all.next_after).toBeNull();
    const page = (await call("GET", `/jobs/${id}/logs?after=1&limit=1`)).body;
    expect(page).toMatchObject({ items: [{ seq: 2 }], next_after: 2 });
  });

  test("outputs are downloaded by a link that is good for this very object, until they are deleted", async () => {
    const { id } = await create();
    await publish(id);
    const job = (await call("GET", `/jobs/${id}`)).body as unknown as { status: string; outputs: Json[] };
    expect(job.status).toBe("completed");
    const { items } = (await call("GET", `/jobs/${id}/outputs`)).body as unknown as { items: Json[] };
    expect(items).toMatchObject([{ ordinal: 0, role: "primary", uri: `local://out/${id}.mp4`, deleted_at: null }]);
    const url = items[0]?.download_url as string;
    const whole = await http.call("GET", url);
    expect([whole.status, await whole.text()]).toEqual([200, "0123456789"]);
    expect(whole.headers.get("content-disposition")).toContain(`filename="${id}.mp4"`);
    const range = { range: "bytes=2-4", "if-range": whole.headers.get("etag") ?? "" };
    const part = await http.call("GET", url, { headers: range });
    expect([part.status, part.headers.get("content-range"), await part.text()]).toEqual([206, "bytes 2-4/10", "234"]);
    const stale = await http.call("GET", url, { headers: { ...range, "if-range": '"other"' } });
    expect([stale.status, await stale.text()]).toEqual([200, "0123456789"]);
    const beyond = await http.call("GET", url, { headers: { range: "bytes=10-" } });
    expect([beyond.status, beyond.headers.get("content-range")]).toEqual([416, "bytes */10"]);
    const cached = await http.call("GET", url, { headers: { "if-none-match": whole.headers.get("etag") ?? "" } });
    expect(cached.status).toBe(304);
    const head = await http.call("HEAD", url);
    expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([200, "10", ""]);
    expect((await http.call("GET", `${url}x`)).status).toBe(401);
    expect((await call("DELETE", `/jobs/${id}/outputs`)).body as unknown).toEqual({ deleted: [0], busy: [] });
    expect((await http.call("GET", url)).status).toBe(404);
    expect((await call("GET", `/jobs/${id}/outputs`)).body).toMatchObject({ items: [{ download_url: null }] });
    expect((await call("GET", `/jobs/${id}/logs`)).body.items).toMatchObject(
      expect.arrayContaining([expect.objectContaining({ type: "job.outputs_deleted" })]) as never,
    );
  });

  test("a key's minutes of the month are counted from what it has made, and end with it", async () => {
    const metered = await http.key({ monthly_limit_minutes: 1 });
    const ask = () => http.call("POST", "/convert", { key: metered.key, json: CONVERT });
    const first = (await (await ask()).json()) as Json;
    await publish(first.id);
    expect((await ask()).status).toBe(201);
    const usage = () => sql.query("SELECT output_seconds FROM key_usage WHERE key_id = $1", [metered.apiKey.id]);
    expect(await usage()).toEqual([{ output_seconds: 1 }]);
    await sql.query("UPDATE key_usage SET output_seconds = 60 WHERE key_id = $1", [metered.apiKey.id]);
    const refused = await ask();
    const { error } = (await refused.json()) as { error: { code: string; message: string } };
    expect([refused.status, error.code]).toEqual([429, "QUOTA_EXCEEDED"]);
    expect(error.message).toMatch(/\d{4}-\d\d-01/);
    expect(Number(refused.headers.get("retry-after"))).toBeWithin(1, 32 * 86_400);
    const again = () => http.call("POST", `/jobs/${first.id}/retry`, { key: metered.key });
    expect((await again()).status).toBe(429);
    await sql.query("UPDATE key_usage SET month = (month - interval '1 month')::date WHERE key_id = $1", [
      metered.apiKey.id,
    ]);
    expect((await ask()).status).toBe(201);
    expect((await again()).status).toBe(201);
  });

  test("a retry may do what its key may do now, not what it could when the job was made", async () => {
    const { key, apiKey } = await http.key();
    const { id } = (await (await http.call("POST", "/convert", { key, json: CONVERT })).json()) as Json;
    await publish(id);
    const again = async () => (await http.call("POST", `/jobs/${id}/retry`, { key })).status;
    // Whoever has the key in mind hears of its change a moment later.
    const untilAnswered = (status: number) => until(async () => (await again()) === status, { what: `a ${status}` });
    for (const limit of ["read_backends", "write_backends", "allowed_operations"]) {
      await call("PATCH", `/admin/api-keys/${apiKey.id}`, { key: admin.key, json: { [limit]: ["nothing"] } });
      await untilAnswered(403);
      await call("PATCH", `/admin/api-keys/${apiKey.id}`, { key: admin.key, json: { [limit]: null } });
      await untilAnswered(201);
    }
  });

  test("a link does not open what another job has published there since", async () => {
    const { id } = await create();
    const place = `out/${id}-shared.mp4`;
    await publish(id, place);
    const { items } = (await call("GET", `/jobs/${id}/outputs`)).body as unknown as { items: Json[] };
    await http.storage.write(place, new TextEncoder().encode("another object of another size"));
    expect((await http.call("GET", items[0]?.download_url as string)).status).toBe(404);
  });

  test("outputs of a job that runs are not deleted", async () => {
    const { id } = await create();
    expect((await call("DELETE", `/jobs/${id}/outputs`)).status).toBe(409);
  });
});

/** What a client does with jobs: follow, download, repeat, retry, list; and what it cannot do to others'. */
import { expect, test } from "bun:test";
import type { Job, JobEvent, Plan, StreamEvent } from "../support/api.ts";
import { isFinalEvent } from "../support/api.ts";
import { until, within } from "../support/until.ts";
import { inAllProfiles, put, SLOW_CLIP, shortEncode, slowJob, stored } from "./harness.ts";

const durable = (events: readonly StreamEvent[]) => events.filter(({ id }) => id !== null);
const numbersTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

/** Messages of a socket until it closes by itself. */
async function readSocket({
  url,
  key,
}: {
  url: string;
  key: string;
}): Promise<{ messages: (Partial<JobEvent> & { type: string })[]; code: number }> {
  const messages: (Partial<JobEvent> & { type: string })[] = [];
  const closed = Promise.withResolvers<number>();
  // Bun's client takes headers; a browser's does not.
  const socket = new WebSocket(url, { headers: { "x-api-key": key } } as never);
  socket.onmessage = ({ data }) => void messages.push(JSON.parse(String(data)));
  socket.onclose = ({ code }) => closed.resolve(code);
  try {
    return { code: await within(closed.promise, 60_000, "the socket to close"), messages };
  } finally {
    socket.close();
  }
}

inAllProfiles("the API", (stage) => {
  test("SSE and WebSocket give the same ordered events, live progress, and one final event", async () => {
    const { api, site } = stage();
    const input = await put(site, "long.mp4", SLOW_CLIP);
    const job = await api.convert(shortEncode(input, "followed.mp4"));
    const socket = readSocket({ url: job.links.ws, key: api.key });
    await using reader = await api.events(job.id);
    const events = await reader.rest();
    const ids = durable(events).map(({ id }) => id ?? 0);
    expect(ids).toEqual(numbersTo(ids.length));
    expect(events.at(-1)?.type).toBe("job.completed");
    expect(events.filter(isFinalEvent)).toHaveLength(1);
    const progress = events.filter(({ type }) => type === "progress").map(({ data }) => Number(data.progress));
    expect(progress.length).toBeGreaterThan(1);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(events.some(({ type, data }) => type === "progress" && data.fps !== null && data.speed !== null)).toBe(true);

    const { messages, code } = await socket;
    expect(code).toBe(1000);
    expect(messages.flatMap(({ seq }) => seq ?? [])).toEqual(ids);
    expect(messages.at(-1)?.type).toBe("job.completed");
    expect((await api.logs(job.id)).map(({ type }) => type)).toEqual(durable(events).map(({ type }) => type));
  });

  test("Last-Event-ID resumes without a gap or a repeat, from anywhere", async () => {
    const { api, site } = stage();
    const input = await put(site, "long.mp4", SLOW_CLIP);
    const job = await api.convert(shortEncode(input, "resumed.mp4"));
    const seen: number[] = [];
    let last = 0;
    for (let connections = 0; connections < 50; connections++) {
      await using reader = await api.events(job.id, last);
      let event = await reader.next();
      while (event !== null && event.id === null) event = await reader.next();
      if (event?.id == null) break;
      seen.push(event.id);
      last = event.id;
      if (isFinalEvent(event)) break;
    }
    expect(seen).toEqual(numbersTo(seen.length));
    expect((await api.logs(job.id)).map(({ seq }) => seq)).toEqual(seen);
    const after = await api.call("GET", `/jobs/${job.id}/events`, undefined, { "last-event-id": `${last}` });
    expect(after.status).toBe(204);
  });

  test("one socket follows several jobs", async () => {
    const { api, site, server } = stage();
    const input = await put(site, "a.mp4");
    const jobs = await Promise.all(["m1.mp4", "m2.mp4"].map((output) => api.convert(shortEncode(input, output))));
    const options = { headers: { "x-api-key": api.key } } as never;
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/api/v1/ws`, options);
    const finals = new Set<string>();
    socket.onopen = () => {
      for (const { id } of jobs) socket.send(JSON.stringify({ subscribe: id, after: 0 }));
    };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(String(data)) as { type: string; job_id: string };
      if (message.type === "job.completed") finals.add(message.job_id);
    };
    try {
      await until(() => finals.size === 2, { timeoutMs: 30_000, what: "both jobs to end" });
    } finally {
      socket.close();
    }
  });

  test("an output is downloaded by its signed URL, whole and in ranges, without a key", async () => {
    const { api, site } = stage();
    const job = await api.completed(shortEncode(await put(site, "a.mp4"), "down load ü.mp4"));
    const [output] = await api.outputs(job.id);
    const url = output?.download_url ?? "";
    const bytes = await Bun.file(stored(site, "down load ü.mp4")).bytes();
    const whole = await fetch(url);
    expect(whole.status).toBe(200);
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true);
    const etag = whole.headers.get("etag") ?? "";
    const middle = await fetch(url, { headers: { range: "bytes=100-199", "if-range": etag } });
    expect([middle.status, middle.headers.get("content-range")]).toEqual([206, `bytes 100-199/${bytes.length}`]);
    expect(Buffer.from(await middle.arrayBuffer()).equals(bytes.subarray(100, 200))).toBe(true);
    expect((await fetch(url, { headers: { range: `bytes=${bytes.length}-` } })).status).toBe(416);
    expect((await fetch(url, { headers: { "if-none-match": etag } })).status).toBe(304);
    expect((await fetch(`${url.slice(0, -3)}abc`)).status).toBe(401);
  });

  test("an idempotency key makes one job, however often it is sent", async () => {
    const { api, site } = stage();
    const body = shortEncode(await put(site, "a.mp4"), "once.mp4");
    const headers = { "idempotency-key": `once-${Bun.randomUUIDv7()}` };
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => api.call<Job>("POST", "/convert", body, headers)),
    );
    const made = answers.filter(({ status }) => status === 201).map(({ body: { id } }) => id);
    expect(new Set(made).size).toBe(1);
    for (const { status } of answers) expect([201, 409]).toContain(status);
    const again = await api.call<Job>("POST", "/convert", body, headers);
    expect([again.status, again.body.id]).toEqual([201, made[0] ?? ""]);
    const other = await api.call("POST", "/convert", { ...body, output: "twice.mp4" }, headers);
    expect(other).toMatchObject({ status: 422, body: { error: { code: "IDEMPOTENCY_MISMATCH" } } });
    await api.ended(made[0] ?? "");
  });

  test("a dry run shows the arguments that run, and stores nothing", async () => {
    const { api, site } = stage();
    const body = shortEncode(await put(site, "a.mp4"), "dry.mp4");
    const count = async () => (await api.call<{ total: number }>("GET", "/jobs")).body.total;
    const before = await count();
    const dry = await api.call<Plan>("POST", "/convert?dry_run=true", body);
    expect(dry.status).toBe(200);
    expect(await count()).toBe(before);
    expect(dry.body.steps[0]?.argv).toContain("libx264");
    expect(dry.body.outputs).toMatchObject([{ role: "primary", uri: "local://dry.mp4" }]);
    const job = await api.convert(slowJob(await put(site, "long.mp4", SLOW_CLIP), "dry-slow.mp4"));
    const slow = await api.call<Plan>("POST", "/convert?dry_run=true", slowJob("long.mp4", "dry-slow.mp4"));
    const { server } = stage();
    const process = await until(() => server.media().find(({ commandLine }) => commandLine.includes("libx265")), {
      timeoutMs: 20_000,
    });
    const text = process.commandLine;
    for (const arg of slow.body.steps[0]?.argv ?? []) expect(text).toContain(arg.replace(/^file:/, ""));
    expect((await api.call("DELETE", `/jobs/${job.id}`)).status).toBe(200);
  });

  test("an ended job is retried as a new one; a running one is not", async () => {
    const { api, site } = stage();
    await Bun.write(stored(site, "later.mp4"), "not yet a video");
    const first = await api.ended((await api.convert(shortEncode("later.mp4", "retried.mp4"))).id);
    expect(first.status).toBe("failed");
    await put(site, "later.mp4");
    const { status, body } = await api.call<Job>("POST", `/jobs/${first.id}/retry`);
    expect([status, body.retry_of]).toEqual([201, first.id]);
    expect((await api.ended(body.id)).status).toBe("completed");
    const running = await api.convert(slowJob(await put(site, "long.mp4", SLOW_CLIP), "running.mp4"));
    expect((await api.call("POST", `/jobs/${running.id}/retry`)).status).toBe(409);
    expect((await api.call("DELETE", `/jobs/${running.id}`)).status).toBe(200);
    expect((await api.call("DELETE", `/jobs/${running.id}`)).status).toBe(409);
  });

  test("a high priority overtakes what waits", async () => {
    const { api, site } = stage();
    const [long, input] = [await put(site, "long.mp4", SLOW_CLIP), await put(site, "a.mp4")];
    const blockers = await Promise.all(["b1.mp4", "b2.mp4"].map((output) => api.convert(slowJob(long, output))));
    for (const { id } of blockers) {
      await until(async () => (await api.job(id)).status === "processing", { timeoutMs: 20_000 });
    }
    const low = await api.convert({ ...shortEncode(input, "low.mp4"), priority: "low" });
    const normal = await api.convert(shortEncode(input, "normal.mp4"));
    const raised = await api.call<Job>("PATCH", `/jobs/${low.id}`, { priority: "high" });
    expect([raised.status, raised.body.priority]).toEqual([200, "high"]);
    // One slot only, so that one of the two goes first.
    await api.call("DELETE", `/jobs/${blockers[0]?.id}`);
    await Promise.all([api.ended(low.id), api.ended(normal.id)]);
    await api.call("DELETE", `/jobs/${blockers[1]?.id}`);
    const started = async (id: string) =>
      (await api.call<{ started_at: string }>("GET", `/jobs/${id}`)).body.started_at;
    expect((await started(low.id)) < (await started(normal.id))).toBe(true);
  });

  test("jobs are listed, filtered and paged", async () => {
    const { api, site } = stage();
    const input = await put(site, "a.mp4");
    const batch = Bun.randomUUIDv7();
    for (let i = 0; i < 5; i++) {
      await api.completed({ ...shortEncode(input, `list/${i}.mp4`), metadata: { batch, number: `${i}` } });
    }
    interface Page {
      items: Job[];
      total: number;
      has_next: boolean;
      next_cursor: string | null;
    }
    const list = async (query: string) => (await api.call<Page>("GET", `/jobs?metadata.batch=${batch}${query}`)).body;
    expect(await list("")).toMatchObject({ total: 5, has_next: false });
    expect(await list("&status=failed")).toMatchObject({ total: 0, items: [] });
    expect(await list("&status=completed,failed&type=convert")).toMatchObject({ total: 5 });
    expect((await list("&metadata.number=3")).items.map(({ output_path }) => output_path)).toEqual([
      "local://list/3.mp4",
    ]);
    const seen: string[] = [];
    let page = await list("&page_size=2&sort=created_at");
    for (let pages = 0; pages < 3; pages++) {
      seen.push(...page.items.map(({ metadata }) => String(metadata.number)));
      if (page.next_cursor === null) break;
      page = await list(`&page_size=2&sort=created_at&cursor=${page.next_cursor}`);
    }
    expect(seen).toEqual(["0", "1", "2", "3", "4"]);
  });

  test("a tenant sees and touches nothing of another's", async () => {
    const { api, other, site } = stage();
    const job = await api.completed(shortEncode(await put(site, "a.mp4"), "mine.mp4"));
    const calls = [
      ["GET", ""],
      ["DELETE", ""],
      ["PATCH", ""],
      ["POST", "/retry"],
      ["GET", "/logs"],
      ["GET", "/outputs"],
      ["DELETE", "/outputs"],
      ["GET", "/events"],
    ] as const;
    for (const [method, path] of calls) {
      const body = method === "PATCH" ? { priority: "high" } : undefined;
      expect([path, (await other.call(method, `/jobs/${job.id}${path}`, body)).status]).toEqual([path, 404]);
    }
    expect((await other.call<{ total: number }>("GET", "/jobs")).body.total).toBe(0);
    expect(await Bun.file(stored(site, "mine.mp4")).exists()).toBe(true);
  });

  test("deleted outputs are gone from the storage, and their URL with them", async () => {
    const { api, site } = stage();
    const job = await api.completed(shortEncode(await put(site, "a.mp4"), "gone.mp4"));
    const [output] = await api.outputs(job.id);
    expect((await api.call("DELETE", `/jobs/${job.id}/outputs`)).body).toMatchObject({ deleted: [0], busy: [] });
    expect(await Bun.file(stored(site, "gone.mp4")).exists()).toBe(false);
    expect((await fetch(output?.download_url ?? "")).status).toBe(404);
  });

  test("what is wrong with a request is said by its path", async () => {
    const { api } = stage();
    const wrong = [
      [{ input: "a.mp4", output: "b.mp4", operation: [] }, 400, "VALIDATION_ERROR"],
      [{ input: "a.mp4" }, 400, "VALIDATION_ERROR"],
      [{ input: "a.mp4", output: "b.mp4", operations: [{ type: "transcode", crf: 99 }] }, 400, "VALIDATION_ERROR"],
      [{ input: "a.mp4", output: "b.mp4", webhook_url: "ftp://example.com/" }, 400, "VALIDATION_ERROR"],
      [{ input: "http://10.0.0.1/a.mp4", output: "b.mp4" }, 400, "VALIDATION_ERROR"],
      [{ input: "a.mp4", output: "https://example.com/b.mp4" }, 422, "UNSUPPORTED"],
    ] as const;
    for (const [body, status, code] of wrong) {
      expect(await api.call("POST", "/convert", body)).toMatchObject({ status, body: { error: { code } } });
    }
    const keyless = await fetch(`${api.url}/api/v1/jobs`);
    expect(keyless.status).toBe(401);
  });
});

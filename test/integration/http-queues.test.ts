/** `/admin/queues`: what waits in each class, and pausing and resuming through the API. */
import { describe, expect, test } from "bun:test";
import { ENGINES, openTestDatabase, submit } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { makeTestHttp } from "./http-harness.ts";

interface Queues {
  readonly items: readonly { readonly priority: string; readonly ready: number; readonly paused_at: string | null }[];
}

describe.each([...ENGINES])("queues on %s", async (engine) => {
  const database = await openTestDatabase(engine);
  const http = makeTestHttp({ sql: database.sql, root: await makeTempDir("http-queues") });
  const admin = await http.key({ role: "admin" });
  const user = await http.key({ role: "user" });
  const call = async (method: string, path: string, json?: unknown, key = admin.key) => {
    const answer = await http.call(method, path, { key, ...(json === undefined ? {} : { json }) });
    return { status: answer.status, body: (await answer.json()) as Queues };
  };
  const paused = ({ body }: { body: Queues }): string[] =>
    body.items.filter(({ paused_at: at }) => at !== null).map(({ priority }) => priority);

  test("classes are paused and resumed, and the jobs that waited are hinted again", async () => {
    const id = await submit(database, { priority: "high" });
    const before = await call("GET", "/admin/queues");
    expect([before.status, before.body.items.map(({ priority, ready }) => [priority, ready])]).toEqual([
      200,
      [
        ["high", 1],
        ["normal", 0],
        ["low", 0],
      ],
    ]);
    expect(paused(await call("POST", "/admin/queues/pause", { priorities: ["high", "low"] }))).toEqual(["high", "low"]);
    expect(paused(await call("POST", "/admin/queues/pause", {}))).toEqual(["high", "normal", "low"]);
    expect(http.coordination.hints.some(({ jobId }) => jobId === id)).toBe(false);
    expect(paused(await call("POST", "/admin/queues/resume", { priorities: ["high"] }))).toEqual(["normal", "low"]);
    expect(http.coordination.hints.some(({ jobId }) => jobId === id)).toBe(true);
    expect(paused(await call("POST", "/admin/queues/resume", {}))).toEqual([]);
  });

  test("are an administrator's, and take known classes only", async () => {
    expect((await call("POST", "/admin/queues/pause", {}, user.key)).status).toBe(403);
    expect((await call("POST", "/admin/queues/pause", { priorities: ["urgent"] })).status).toBe(400);
    expect((await call("POST", "/admin/queues/pause", { priorities: [] })).status).toBe(400);
    expect(paused(await call("GET", "/admin/queues"))).toEqual([]);
  });
});

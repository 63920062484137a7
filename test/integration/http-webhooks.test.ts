/** Webhooks as clients ask for them: in a job's body, in the list of what was sent, again, and as a sample. */
import { describe, expect, test } from "bun:test";
import { channels } from "../../src/coordination/ports.ts";
import { makeUrlGuard } from "../../src/security/outbound/url-guard.ts";
import { ENGINES, openTestDatabase } from "../faults/protocol-harness.ts";
import { startReceiver } from "../support/receiver.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { makeTestHttp } from "./http-harness.ts";

const CONVERT = { input_path: "in/a.mov", output_path: "out/b.mp4" };

interface Json extends Record<string, unknown> {
  readonly id: string;
  readonly error: { readonly details: readonly { readonly path: string }[] };
}

describe.each([...ENGINES])("webhooks over HTTP on %s", async (engine) => {
  const { sql } = await openTestDatabase(engine);
  const urlGuard = makeUrlGuard({ allowNetworks: ["127.0.0.0/8"] });
  const http = makeTestHttp({ sql, root: await makeTempDir("http-webhooks"), services: { urlGuard } });
  const { key, webhookSecret } = await http.key();
  const call = async (method: string, path: string, json?: unknown, as = key) => {
    const answer = await http.call(method, path, { key: as, ...(json === undefined ? {} : { json }) });
    return { status: answer.status, body: (await answer.json()) as Json };
  };
  const cancelled = async (webhook: object): Promise<string> => {
    const { body } = await call("POST", "/convert", { ...CONVERT, ...webhook });
    await call("DELETE", `/jobs/${body.id}`);
    return body.id;
  };

  test("a job keeps the URL and the events under their own names", async () => {
    const webhook = { webhook_url: "https://hooks.example.com", webhook_events: ["complete", "error", "completed"] };
    const { status, body } = await call("POST", "/convert", { ...CONVERT, ...webhook });
    expect([status, body.webhook_url]).toEqual([201, "https://hooks.example.com/"]);
    const [row] = await sql.query("SELECT webhook_events FROM jobs WHERE id = $1", [body.id]);
    expect(row).toEqual({ webhook_events: ["completed", "failed"] });
  });

  test("what no webhook can reach or mean is refused", async () => {
    const cases: readonly [object, string][] = [
      [{ webhook_url: "ftp://example.com" }, "webhook_url"],
      [{ webhook_url: "https://user:word@example.com" }, "webhook_url"],
      [{ webhook_url: "http://169.254.169.254/latest" }, "webhook_url"],
      [{ webhook_url: "http://10.0.0.1/" }, "webhook_url"],
      [{ webhook_url: "http://[::1]/" }, "webhook_url"],
      [{ webhook_url: 7 }, "webhook_url"],
      [{ webhook_events: ["completed"] }, "webhook_events"],
      [{ webhook_url: "https://example.com", webhook_events: ["done"] }, "webhook_events[0]"],
      [{ webhook_url: "https://example.com", webhook_events: [] }, "webhook_events"],
    ];
    for (const [webhook, path] of cases) {
      const { status, body } = await call("POST", "/convert", { ...CONVERT, ...webhook });
      const { details } = body.error;
      expect([webhook, status, details[0]?.path]).toEqual([webhook, 400, path]);
    }
  });

  test("the list shows a job's deliveries, and one is sent again by hand", async () => {
    const jobId = await cancelled({ webhook_url: "https://a.example/", webhook_events: ["cancelled"] });
    expect(http.coordination.published.filter(({ channel }) => channel === channels.webhooks).length).toBe(1);
    const { items } = (await call("GET", `/jobs/${jobId}/webhooks`)).body as unknown as { items: { id: string }[] };
    expect(items).toEqual([
      expect.objectContaining({ event: "job.cancelled", status: "pending", attempts: 0, tries: [] }),
    ]);
    await sql.query("UPDATE webhook_deliveries SET status = 'failed', ended_at = now(), attempt = 9");
    const { status, body } = await call("POST", `/jobs/${jobId}/webhooks/${items[0]?.id}/redeliver`);
    expect([status, body]).toEqual([200, expect.objectContaining({ status: "pending", attempts: 0, ended_at: null })]);
    expect(http.coordination.published.filter(({ channel }) => channel === channels.webhooks).length).toBe(2);
  });

  test("another tenant's webhooks are not there", async () => {
    const jobId = await cancelled({ webhook_url: "https://a.example/", webhook_events: ["cancelled"] });
    const { items } = (await call("GET", `/jobs/${jobId}/webhooks`)).body as unknown as { items: { id: string }[] };
    const other = (await http.key()).key;
    const mine = await cancelled({});
    for (const [method, path, as] of [
      ["GET", `/jobs/${jobId}/webhooks`, other],
      ["POST", `/jobs/${jobId}/webhooks/${items[0]?.id}/redeliver`, other],
      ["POST", `/jobs/${mine}/webhooks/${items[0]?.id}/redeliver`, key],
      ["POST", `/jobs/${mine}/webhooks/nothing/redeliver`, key],
    ] as const) {
      expect([path, (await call(method, path, undefined, as)).status]).toEqual([path, 404]);
    }
  });

  test("a sample is signed with the key's secret, and its answer is reported", async () => {
    const receiver = startReceiver([webhookSecret], () => new Response("thanks", { status: 202 }));
    const { body } = await call("POST", "/webhooks/test", { url: receiver.url });
    expect(body).toMatchObject({ delivered: true, status: 202, body: "thanks", error: null });
    expect(receiver.received).toEqual([expect.objectContaining({ id: body.webhook_id, verified: 1 })]);
    await receiver.stop();
    const failed = await call("POST", "/webhooks/test", { url: receiver.url });
    expect(failed.body).toMatchObject({
      delivered: false,
      status: null,
      error: "The receiver refused the connection.",
    });
    expect((await call("POST", "/webhooks/test", { url: "http://10.0.0.1/" })).status).toBe(400);
  });
});

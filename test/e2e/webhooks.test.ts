/** Webhooks as a receiver sees them, from the running program: what comes, by which signature, and after a kill. */
import { expect, test } from "bun:test";
import { type Api, makeApi } from "../support/api.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { makeKey, makeSite, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { inProfiles, put, shortEncode } from "./harness.ts";

const LOOPBACK = { ALLOW_PRIVATE_NETWORKS: "127.0.0.0/8" };
const ALL = ["started", "progress", "completed", "failed", "cancelled"];

interface MadeKey {
  readonly id: string;
  readonly key: string;
  readonly webhook_secret: string;
}

interface DeliveryView {
  readonly id: string;
  readonly event: string;
  readonly status: string;
  readonly tries: readonly { readonly status: number | null; readonly body: string | null }[];
}

/** A user of its own, whose webhooks the receiver can verify. */
async function makeUser(admin: Api): Promise<{ api: Api; made: MadeKey; receiver: Receiver }> {
  const { body: made } = await admin.call<MadeKey>("POST", "/admin/api-keys", { name: "hooked", role: "user" });
  expect(made.webhook_secret).toStartWith("whsec_");
  return { api: makeApi(admin.url, made.key), made, receiver: startReceiver([made.webhook_secret]) };
}

const eventsOf = (receiver: Receiver, id: string): unknown[] =>
  receiver.received
    .filter(({ body }) => body.job_id === id && body.event !== "job.progress")
    .map(({ body }) => body.event);

inProfiles(
  ["embedded", "cluster"],
  "webhooks",
  (stage) => {
    const administrator = async (): Promise<Api> => {
      const { server, site, profile } = stage();
      if (profile !== "embedded") return makeApi(server.url, await makeKey(site, { role: "admin" }));
      // Nobody else may open its database while it runs; the first start has made a key.
      return makeApi(server.url, (await Bun.file(`${site.dataDir}/admin-key`).text()).trim());
    };

    test("a job tells its start and its end, in order and signed; each try is listed, and one is sent again", async () => {
      const { site } = stage();
      const { api, receiver } = await makeUser(await administrator());
      const job = await api.completed({
        ...shortEncode(await put(site, "hook.mp4"), "hooked.mp4"),
        ...{ webhook_url: receiver.url, webhook_events: ALL, metadata: { order: 7 } },
      });
      await until(() => eventsOf(receiver, job.id).length === 2, { timeoutMs: 15_000 });
      expect(eventsOf(receiver, job.id)).toEqual(["job.started", "job.completed"]);
      const end = receiver.received.find(({ body }) => body.event === "job.completed");
      expect(end?.body).toMatchObject({
        ...{ job_id: job.id, status: "completed", metadata: { order: 7 } },
        outputs: [{ uri: job.outputs[0]?.uri, sha256: job.outputs[0]?.sha256 }],
      });
      expect(receiver.received.every(({ verified, signatures }) => verified === 1 && signatures === 1)).toBe(true);
      const list = async () =>
        (await api.call<{ items: DeliveryView[] }>("GET", `/jobs/${job.id}/webhooks`)).body.items;
      await until(async () => (await list()).every(({ status }) => status === "delivered"), { timeoutMs: 15_000 });
      const delivery = (await list()).find(({ event }) => event === "job.completed");
      expect(delivery?.tries.map(({ status }) => status)).toEqual([204]);
      const again = await api.call("POST", `/jobs/${job.id}/webhooks/${delivery?.id}/redeliver`);
      expect(again.status).toBeLessThan(300);
      await until(() => eventsOf(receiver, job.id).length === 3, { timeoutMs: 15_000 });
      expect(receiver.received.filter(({ id }) => id === end?.id)).toHaveLength(2);
    });

    test("a failure tells why, a batch its end, once, and a sample what came back", async () => {
      const { api, receiver } = await makeUser(await administrator());
      const failing = { type: "convert", input: "none.mp4", output: "out.mp4" };
      const { body: batch } = await api.call<{ batch_id: string; jobs: { id: string }[] }>("POST", "/batch", {
        ...{
          items: [failing, { ...failing, output: "out-2.mp4", webhook_url: receiver.url }],
          webhook_url: receiver.url,
        },
      });
      const ends = () => receiver.received.filter(({ body }) => body.event === "batch.completed");
      await until(() => ends().length > 0 && receiver.received.length === 2, { timeoutMs: 20_000 });
      expect(ends()[0]?.body).toMatchObject({ batch_id: batch.batch_id, counts: { total: 2, failed: 2 } });
      const failed = receiver.received.find(({ body }) => body.event === "job.failed");
      expect(failed?.body).toMatchObject({ job_id: batch.jobs[1]?.id, error_detail: { kind: "input.not_found" } });
      const sample = await api.call<{ status: number }>("POST", "/webhooks/test", { url: receiver.url });
      expect([sample.status, sample.body.status]).toEqual([200, 204]);
      expect(receiver.received).toHaveLength(3);
      expect(receiver.received.every(({ verified }) => verified === 1)).toBe(true);
    });

    test("while a rotated key's old secret is good, both sign", async () => {
      const admin = await administrator();
      const { made, receiver } = await makeUser(admin);
      const { body: rotated } = await admin.call<MadeKey>("POST", `/admin/api-keys/${made.id}/rotate`, {
        ...{ grace_period: 600, what: "both" },
      });
      expect(rotated.webhook_secret).not.toBe(made.webhook_secret);
      receiver.secrets = [made.webhook_secret, rotated.webhook_secret];
      for (const key of [made.key, rotated.key]) {
        expect((await makeApi(admin.url, key).call("POST", "/webhooks/test", { url: receiver.url })).status).toBe(200);
      }
      expect(receiver.received.map(({ verified }) => verified)).toEqual([2, 2]);
    });
  },
  LOOPBACK,
);

test("what waits for its next try at a kill -9 of the server comes after the next start", async () => {
  const site = await makeSite("embedded", LOOPBACK);
  const key = await makeKey(site);
  let isUp = false;
  const receiver = startReceiver([], () =>
    isUp ? new Response(null) : new Response("later", { status: 503, headers: { "retry-after": "1" } }),
  );
  const first = await startServer(site);
  const body = { input: "none.mp4", output: "out.mp4", webhook_url: receiver.url };
  const { id } = await makeApi(first.url, key).convert(body);
  const triesAt = async (url: string) => {
    const { body: list } = await makeApi(url, key).call<{ items: DeliveryView[] }>("GET", `/jobs/${id}/webhooks`);
    return list.items.map(({ status, tries }) => [status, tries.length] as const);
  };
  await until(async () => (await triesAt(first.url))[0]?.[1] === 1, { timeoutMs: 15_000, what: "the first try" });
  await first.kill();
  isUp = true;
  const before = receiver.received.length;
  await using second = await startServer(site);
  await until(() => receiver.received.length > before, { timeoutMs: 40_000, what: "the webhook to come again" });
  expect(new Set(receiver.received.map((one) => one.id)).size).toBe(1);
  await until(async () => (await triesAt(second.url))[0]?.[0] === "delivered", { timeoutMs: 10_000 });
});

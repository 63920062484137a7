/** Keys on both engines: the first ones, those the API makes, and how fast a revoked one stops working. */
import { describe, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { channels } from "../../src/coordination/ports.ts";
import { recordSample } from "../../src/jobs/system-metrics.ts";
import { makeAuthenticator } from "../../src/security/authenticator.ts";
import { ensureBootstrap } from "../../src/security/bootstrap.ts";
import { sha256 } from "../../src/security/digest.ts";
import { findByDigest, listKeys } from "../../src/security/keys.ts";
import { ENGINES, openTestDatabase } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { fakeCoordination, makeTestHttp } from "./http-harness.ts";

describe.each([...ENGINES])("first keys on %s", async (engine) => {
  const { sql } = await openTestDatabase(engine);
  const bootstrap = (dataDir: string, adminKeys: string[] = [], enabled = true, role: "api" | "worker" = "api") =>
    ensureBootstrap(sql, { keys: { enabled, adminKeys }, process: { dataDir, role } });
  const roleOf = async (key: string) => (await findByDigest(sql, sha256(key)))?.role ?? null;

  test("the first start makes one key, keeps only its digest, and writes it where only the operator reads", async () => {
    // An API replica has made nothing there.
    const dataDir = join(await makeTempDir("keys"), "data");
    const { adminKeyPath } = await bootstrap(dataDir);
    expect(adminKeyPath).toBe(join(dataDir, "admin-key"));
    const text = await Bun.file(join(dataDir, "admin-key")).text();
    expect(text).toMatch(/^rnd_[0-9a-f]{32}_[0-9a-f]{40}\n$/);
    expect((await stat(join(dataDir, "admin-key"))).mode & 0o777).toBe(0o600);
    expect(await roleOf(text.trim())).toBe("admin");
    expect(await bootstrap(dataDir)).toEqual({ adminKeyPath: null });
    const elsewhere = await makeTempDir("keys");
    expect(await bootstrap(elsewhere)).toEqual({ adminKeyPath: null });
    expect(await Bun.file(join(elsewhere, "admin-key")).exists()).toBe(false);
  });

  test("of several first starts at once one makes a key, and no other leaves a file", async () => {
    await sql.query("UPDATE api_keys SET revoked_at = now()");
    const dirs = await Promise.all(Array.from({ length: 4 }, () => makeTempDir("keys")));
    const results = await Promise.all(dirs.map((dir) => bootstrap(dir)));
    expect(results.filter(({ adminKeyPath }) => adminKeyPath !== null).length).toBe(1);
    const files = await Promise.all(dirs.map((dir) => Bun.file(join(dir, "admin-key")).exists()));
    expect(files.filter(Boolean).length).toBe(1);
  });

  test("keys that the operator gives work for as long as they are given", async () => {
    const dataDir = await makeTempDir("keys");
    const [one, two] = ["a given admin key 1", "a given admin key 2"] as const;
    expect(await bootstrap(dataDir, [one, two])).toEqual({ adminKeyPath: null });
    expect([await roleOf(one), await roleOf(two)]).toEqual(["admin", "admin"]);
    await bootstrap(dataDir, [two]);
    expect([await roleOf(one), await roleOf(two)]).toEqual([null, "admin"]);
    await bootstrap(dataDir, [one, two]);
    expect(await roleOf(one)).toBe("admin");
    expect(await Bun.file(join(dataDir, "admin-key")).exists()).toBe(false);
  });

  test("a worker makes no key where nobody looks for it, and does not revoke those that it is not given", async () => {
    const given = "a given admin key 3";
    await bootstrap(await makeTempDir("keys"), [given]);
    await bootstrap(await makeTempDir("keys"), [], true, "worker");
    expect(await roleOf(given)).toBe("admin");
    await sql.query("UPDATE api_keys SET revoked_at = now()");
    const workers = await makeTempDir("keys");
    expect(await bootstrap(workers, [], true, "worker")).toEqual({ adminKeyPath: null });
    expect(await Bun.file(join(workers, "admin-key")).exists()).toBe(false);
    const { adminKeyPath } = await bootstrap(await makeTempDir("keys"));
    expect(adminKeyPath).not.toBe(null);
  });

  test("with keys off there is a local owner of jobs that no key opens", async () => {
    await bootstrap(await makeTempDir("keys"), [], false);
    await bootstrap(await makeTempDir("keys"), [], false);
    const locals = (await listKeys(sql, { limit: 100 })).filter(({ name }) => name === "local");
    expect(locals.length).toBe(1);
  });
});

describe.each([...ENGINES])("keys through the API on %s", async (engine) => {
  const { sql } = await openTestDatabase(engine);
  const http = makeTestHttp({ sql, root: await makeTempDir("http-keys") });
  const admin = await http.key({ role: "admin" });
  const call = async (method: string, path: string, json?: unknown) => {
    const answer = await http.call(method, path, { key: admin.key, ...(json === undefined ? {} : { json }) });
    return {
      status: answer.status,
      body: (await answer.json()) as Record<string, unknown> & { id: string; key: string },
    };
  };
  const PROPERTIES = {
    name: "an application",
    role: "user",
    allowed_operations: ["trim"],
    read_backends: ["local"],
    write_backends: null,
    rate_limit: 10,
    max_concurrent_jobs: 2,
    weight: 1,
    monthly_limit_minutes: 600,
    expires_at: "2999-01-01T00:00:00.000Z",
  };

  test("a key is made with every property, shown once, and works", async () => {
    const { status, body } = await call("POST", "/admin/api-keys", PROPERTIES);
    expect(status).toBe(201);
    expect(body).toMatchObject(PROPERTIES);
    expect(body.key).toMatch(new RegExp(`^rnd_${body.id.replaceAll("-", "")}_[0-9a-f]{40}$`));
    expect(body.webhook_secret).toStartWith("whsec_");
    const read = await call("GET", `/admin/api-keys/${body.id}`);
    expect(read.body).toMatchObject(PROPERTIES);
    expect(JSON.stringify([read.body, (await call("GET", "/admin/api-keys")).body])).not.toMatch(/rnd_|whsec_|digest/);
    expect((await http.call("GET", "/jobs", { key: body.key })).status).toBe(200);
    expect((await call("GET", `/admin/api-keys/${body.id}`)).body.last_used_at).not.toBeNull();
  });

  test("properties that make no sense are refused", async () => {
    const bad = [
      {},
      { name: "" },
      { name: "local" },
      { name: "a\nb" },
      { name: "a", role: "root" },
      { name: "a", weight: 0 },
    ];
    for (const body of [
      ...bad,
      { name: "a", rate_limit: 0 },
      { name: "a", expires_at: "soon" },
      { name: "a", rolle: "user" },
    ]) {
      expect([body, (await call("POST", "/admin/api-keys", body)).status]).toEqual([body, 400]);
    }
  });

  test("a share of the workers is kept", async () => {
    const { status, body } = await call("POST", "/admin/api-keys", { name: "heavy", weight: 2 });
    expect([status, body.weight]).toEqual([201, 2]);
    expect((await call("POST", "/admin/api-keys", { name: "heavy", weight: 0 })).status).toBe(400);
  });

  test("a revoked key stops at once, keeps its first time, and cannot be the caller's own", async () => {
    const { body } = await call("POST", "/admin/api-keys", { name: "short-lived" });
    expect((await http.call("GET", "/jobs", { key: body.key })).status).toBe(200);
    const first = await call("DELETE", `/admin/api-keys/${body.id}`);
    expect((await http.call("GET", "/jobs", { key: body.key })).status).toBe(401);
    expect((await call("DELETE", `/admin/api-keys/${body.id}`)).body.revoked_at).toBe(first.body.revoked_at);
    expect((await call("DELETE", `/admin/api-keys/${admin.apiKey.id}`)).status).toBe(409);
    expect((await call("DELETE", "/admin/api-keys/0193a000-0000-7000-8000-000000000001")).status).toBe(404);
    expect((await call("GET", "/admin/api-keys/x")).status).toBe(404);
  });

  test("a changed key is another caller at once, and nobody changes their own", async () => {
    const { body } = await call("POST", "/admin/api-keys", { name: "grows", role: "readonly" });
    const convert = () =>
      http.call("POST", "/convert", {
        ...{
          key: body.key,
          json: { input_path: "a.mov", output_path: "b.mp4", operations: [{ type: "scale", width: 64 }] },
        },
      });
    expect((await convert()).status).toBe(403);
    const changes = { role: "user", allowed_operations: ["trim"], rate_limit: 500, name: "grown", expires_at: null };
    const changed = await call("PATCH", `/admin/api-keys/${body.id}`, changes);
    expect([changed.status, changed.body]).toEqual([200, expect.objectContaining({ ...changes, weight: 1 })]);
    const refused = await convert();
    expect([refused.status, refused.headers.get("x-ratelimit-limit")]).toEqual([403, "500"]);
    await call("PATCH", `/admin/api-keys/${body.id}`, { allowed_operations: null, write_backends: ["elsewhere"] });
    expect((await convert()).status).toBe(403);
    for (const [id, json, status] of [
      [admin.apiKey.id, { rate_limit: 1 }, 409],
      ["0193a000-0000-7000-8000-000000000001", {}, 404],
      ["x", {}, 404],
      [body.id, { rate_limit: 0 }, 400],
      [body.id, { digest: "x" }, 400],
      [body.id, { weight: 0 }, 400],
    ] as const) {
      expect([json, (await call("PATCH", `/admin/api-keys/${id}`, json)).status]).toEqual([json, status]);
    }
    await call("DELETE", `/admin/api-keys/${body.id}`);
    expect((await call("PATCH", `/admin/api-keys/${body.id}`, {})).status).toBe(409);
  });

  test("after a rotation both texts work until the grace is over, then the new one alone", async () => {
    const { body } = await call("POST", "/admin/api-keys", { name: "rotates" });
    const works = async (key: unknown) => (await http.call("GET", "/jobs", { key: String(key) })).status === 200;
    const rotate = async (json: object) => (await call("POST", `/admin/api-keys/${body.id}/rotate`, json)).body;
    const second = await rotate({ grace_period: 60 });
    expect(second).toMatchObject({ id: body.id, webhook_secret: null });
    expect([await works(body.key), await works(second.key)]).toEqual([true, true]);
    await sql.query("UPDATE api_keys SET previous_until = now() WHERE id = $1", [body.id]);
    await http.coordination.bus.publish(channels.keys, { key_id: body.id });
    expect([await works(body.key), await works(second.key)]).toEqual([false, true]);
    const third = await rotate({ grace_period: 0, what: "both" });
    expect([await works(second.key), await works(third.key)]).toEqual([false, true]);
    expect(third.webhook_secret).toStartWith("whsec_");
    const idle = { "idempotency-key": "once" };
    const again = async () => {
      const options = { key: admin.key, json: {}, headers: idle };
      return (await (await http.call("POST", `/admin/api-keys/${body.id}/rotate`, options)).json()) as typeof body;
    };
    expect((await again()).key).toStartWith("rnd_");
    expect((await again()).key).toBeNull();
  });

  test("keys are listed in pages, newest first", async () => {
    const ids: string[] = [];
    for (let page = "/admin/api-keys?limit=2"; page !== ""; ) {
      const { body } = await call("GET", page);
      ids.push(...(body.items as { id: string }[]).map(({ id }) => id));
      page = body.next_before === null ? "" : `/admin/api-keys?limit=2&before=${body.next_before}`;
    }
    expect(ids).toEqual([...ids].sort().reverse());
    expect(ids).toContain(admin.apiKey.id);
  });

  test("a key that is revoked while it is being looked up is not remembered as good", async () => {
    const { bus } = fakeCoordination();
    const made = await http.key();
    const authenticator = makeAuthenticator({
      sql: {
        async query(text, params) {
          const rows = await sql.query<never>(text, params);
          await sql.query("UPDATE api_keys SET revoked_at = now() WHERE id = $1", [made.apiKey.id]);
          await bus.publish(channels.keys, { key_id: made.apiKey.id });
          return rows;
        },
      },
      bus,
      keysEnabled: true,
    });
    await authenticator.authenticate(made.key);
    expect(await authenticator.authenticate(made.key)).toBeNull();
    await authenticator.close();
  });

  test("a key that is none is looked up now and then, however often it is tried, and pushes out none that works", async () => {
    let [nowMs, lookUps, knowsAny] = [Date.now(), 0, true];
    const { bus } = fakeCoordination();
    const good = await http.key();
    const authenticator = makeAuthenticator({
      ...{ bus, keysEnabled: true, now: () => nowMs },
      sql: {
        async query(text, params) {
          lookUps += 1;
          return knowsAny ? await sql.query(text, params) : [];
        },
      },
    });
    const lookUpsOf = async (key: string, found: boolean): Promise<number> => {
      const before = lookUps;
      for (let tries = 0; tries < 3; tries += 1) expect((await authenticator.authenticate(key)) !== null).toBe(found);
      return lookUps - before;
    };
    await lookUpsOf(good.key, true);
    knowsAny = false;
    expect([await lookUpsOf(good.key, true), await lookUpsOf("wrong", false)]).toEqual([0, 1]);
    for (let n = 0; n < 10_001; n += 1) await authenticator.authenticate(`wrong ${n}`);
    expect(await lookUpsOf(good.key, true)).toBe(0);
    // What did not work may work from now on: a change of any key says so, or the time.
    await lookUpsOf("wrong", false);
    await bus.publish(channels.keys, { key_id: "any" });
    expect(await lookUpsOf("wrong", false)).toBe(1);
    nowMs += 5_001;
    expect(await lookUpsOf("wrong", false)).toBe(1);
    await authenticator.close();
  });

  test("a lost message delays a revocation by no more than the cache's time, and an expiry by nothing", async () => {
    let nowMs = Date.now();
    const authenticator = makeAuthenticator({
      sql,
      bus: fakeCoordination().bus,
      keysEnabled: true,
      now: () => nowMs,
    });
    const revoked = await http.key();
    const expiring = await http.key({ expires_at: new Date(nowMs + 4_000).toISOString() });
    expect(await authenticator.authenticate(revoked.key)).not.toBeNull();
    expect(await authenticator.authenticate(expiring.key)).not.toBeNull();
    await sql.query("UPDATE api_keys SET revoked_at = now() WHERE id = $1", [revoked.apiKey.id]);
    nowMs += 4_000;
    expect(await authenticator.authenticate(expiring.key)).toBeNull();
    expect(await authenticator.authenticate(revoked.key)).not.toBeNull();
    nowMs += 1_001;
    expect(await authenticator.authenticate(revoked.key)).toBeNull();
    await authenticator.close();
  });

  test("figures and workers are for administrators", async () => {
    expect((await call("GET", "/admin/stats")).body).toMatchObject({ queue: { high: { ready: 0 } }, processing: 0 });
    expect((await call("GET", "/admin/stats")).body).toMatchObject({
      ...{
        ended_24h: { completed: 0, failed: 0, cancelled: 0 },
        webhooks: { pending: 0, failed_24h: 0 },
        output_bytes: {},
      },
    });
    await recordSample(
      sql,
      crypto.randomUUID(),
      { queueDepth: { high: 0, normal: 4, low: 0 }, oldestWaitSeconds: 7.5 },
      {
        ...{ slots: 2, slotsInUse: 1, jobsCompleted: 3, jobsFailed: 1, requests: 10, requestsFailed: 0 },
        ffmpegSpeedRatio: null,
      },
    );
    expect((await call("GET", "/admin/stats?history_hours=168")).body).toMatchObject({
      history: [{ replicas: 1, queue_depth: { normal: 4 }, slots_in_use: 1, jobs_failed: 1, ffmpeg_speed_ratio: null }],
    });
    expect((await call("GET", "/admin/stats?history_hours=169")).status).toBe(400);
    expect((await call("GET", "/admin/workers")).body).toEqual({ items: [], others: [] } as never);
  });
});

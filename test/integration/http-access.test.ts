/** Who may call what: every route without a key, with each role, and against the real routes of the app. */
import { expect, test } from "bun:test";
import { makeRouteMatcher } from "../../plugins/match.ts";
import type { RouteRule } from "../../plugins/route-rule.ts";
import { ROUTES } from "../../plugins/routes.ts";
import { ROLES, roleAllows } from "../../src/security/roles.ts";
import { openTestDatabase } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { makeTestHttp, testConfig } from "./http-harness.ts";

const { sql } = await openTestDatabase("pglite");
const root = await makeTempDir("http-access");
const http = makeTestHttp({ sql, root });

const PUBLIC = [
  ...["GET /health", "GET /health/live", "GET /health/ready", "GET /openapi.json", "GET /docs"],
  "OPTIONS /uploads",
];
const NETWORK = ["GET /metrics"];
const SIGNED = ["GET /files/:token", "GET /keys/:token"];

const nameOf = (rule: RouteRule): string => `${rule.method} ${rule.path}`;
const pathOf = (rule: RouteRule): string => rule.path.replaceAll(/:\w+/g, "0193a000-0000-7000-8000-000000000001");

test("the rules and the app's routes are the same", () => {
  const real = http.app.elysia.routes.map(({ method, path }) => `${method} ${path}`).sort();
  // A HEAD arrives at the router as a GET.
  const declared = ROUTES.filter((rule) => rule.method !== "HEAD")
    .flatMap((rule) => {
      const api = `${rule.method} /api/v1${rule.path}`;
      return rule.at === "both" ? [`${rule.method} ${rule.path}`, api] : [api];
    })
    .sort();
  expect(real).toEqual(declared);
  expect(new Set(ROUTES.map(({ id }) => id)).size).toBe(ROUTES.length);
});

test("every call that makes something takes an Idempotency-Key, but for tokens, which are not kept", () => {
  const makes = ROUTES.filter(({ method, answers }) => method === "POST" && 201 in answers);
  expect(makes.filter(({ idempotent }) => idempotent !== true).map(nameOf)).toEqual(["POST /tokens"]);
});

test("only a short list needs no key", () => {
  const open = ROUTES.filter(({ access }) => access === "public").map(nameOf);
  expect(open.sort()).toEqual(PUBLIC.sort());
  expect(ROUTES.filter(({ access }) => access === "metrics").map(nameOf)).toEqual(NETWORK);
  expect(ROUTES.filter(({ access }) => access === "signed").map(nameOf)).toEqual(SIGNED);
});

test("every other route answers 401 without a key, with a wrong, an expired and a revoked one", async () => {
  const expired = await http.key({ expires_at: "2020-01-01T00:00:00Z", role: "admin" });
  const revoked = await http.key({ role: "admin" });
  await sql.query("UPDATE api_keys SET revoked_at = now() WHERE id = $1", [revoked.apiKey.id]);
  const keys = [undefined, "", "rnd_wrong", "x".repeat(100_000), expired.key, revoked.key];
  for (const rule of ROUTES.filter(({ access }) => ROLES.some((role) => role === access))) {
    for (const key of keys) {
      const answer = await http.call(rule.method, pathOf(rule), { key });
      expect([nameOf(rule), answer.status]).toEqual([nameOf(rule), 401]);
      expect(answer.headers.get("www-authenticate")).toContain("Bearer");
      if (rule.method !== "HEAD") expect(await answer.json()).toMatchObject({ error: { code: "AUTH_ERROR" } });
    }
  }
});

test("signed routes answer 401 to a token that is not ours", async () => {
  for (const token of ["x", "a.b", "%00", "..%2f..%2fetc%2fpasswd", "x".repeat(5_000)]) {
    expect((await http.call("GET", `/files/${token}`)).status).toBe(401);
  }
});

test("a key's role decides, by the rule of the route", async () => {
  for (const role of ROLES) {
    const { key } = await http.key({ role });
    for (const rule of ROUTES) {
      const needed = ROLES.find((candidate) => candidate === rule.access);
      if (needed === undefined || rule.endless === true) continue;
      const { status } = await http.call(rule.method, pathOf(rule), { key });
      const name = `${role}: ${nameOf(rule)}`;
      if (!roleAllows(role, needed)) expect([name, status]).toEqual([name, 403]);
      else expect([name, status === 401 || status === 403 || status >= 500]).toEqual([name, false]);
    }
  }
});

test("either header carries a key", async () => {
  const { key } = await http.key();
  expect((await http.call("GET", "/jobs", { headers: { "x-api-key": key } })).status).toBe(200);
  expect((await http.call("GET", "/jobs", { headers: { authorization: `Bearer ${key}` } })).status).toBe(200);
  expect((await http.call("GET", "/jobs", { headers: { authorization: `bearer  ${key}` } })).status).toBe(200);
  expect((await http.call("GET", "/jobs", { headers: { authorization: `Basic ${btoa(`x:${key}`)}` } })).status).toBe(
    401,
  );
});

test("without keys everybody is the one local administrator", async () => {
  const config = testConfig();
  const open = makeTestHttp({ sql, root, config: { ...config, keys: { ...config.keys, enabled: false } } });
  expect((await open.call("GET", "/jobs")).status).toBe(200);
  expect((await open.call("GET", "/admin/api-keys")).status).toBe(200);
  await open.app.close();
});

test("a path is matched as the router does it, and nothing else is", () => {
  const match = makeRouteMatcher(ROUTES);
  expect(match("GET", "/api/v1/jobs/x")).toMatchObject({ outcome: "matched", rule: { id: "jobs.get" } });
  expect(match("GET", "/api/v1/jobs/x/")).toMatchObject({ rule: { id: "jobs.get" } });
  expect(match("HEAD", "/api/v1/jobs/x")).toMatchObject({ rule: { id: "jobs.get" } });
  expect(match("GET", "/health/live")).toMatchObject({ rule: { id: "health.live" } });
  expect(match("HEAD", "/api/v1/jobs/x/events").outcome).toBe("wrong_method");
  expect(match("PUT", "/api/v1/jobs")).toMatchObject({ outcome: "wrong_method", allowed: ["GET"] });
  for (const path of [
    "",
    "/",
    "/api/v1",
    "/api/v1//jobs",
    "/API/v1/jobs",
    "/api/v1/jobs//",
    "/jobs",
    "/api/v1/%6aobs",
  ]) {
    expect([path, match("GET", path).outcome]).toEqual([path, "unknown"]);
  }
});

test("no spelling of a path gets past the gate", async () => {
  const spellings = [
    "/api/v1//jobs",
    "/api/v1/%6aobs",
    "/api/v1/jobs%2f",
    "/api/v1/./admin/stats",
    "/api/v1/x/../jobs",
  ];
  for (const path of [...spellings, "/API/V1/JOBS", "/api/v1/jobs;x", "/health/../api/v1/jobs"]) {
    const { status } = await http.call("GET", `http://localhost${path}`);
    expect([path, status === 401 || status === 404]).toEqual([path, true]);
  }
});

test("metrics are for the networks that may scrape, whole services for those that may call", async () => {
  const config = testConfig();
  const proxied = { ...config.http, trustedProxies: ["127.0.0.0/8"] };
  const from = (address: string) => ({ headers: { "x-forwarded-for": address } });
  const listed = makeTestHttp({
    sql,
    root,
    config: { ...config, http: { ...proxied, ipAllowList: ["10.0.0.0/8", "192.0.2.7/32", "2001:db8:1::/48"] } },
  });
  const open = makeTestHttp({ sql, root, config: { ...config, http: proxied } });
  expect((await open.call("GET", "/metrics", from("127.0.0.1"))).status).toBe(200);
  expect((await open.call("GET", "/metrics", from("203.0.113.9"))).status).toBe(403);
  expect((await listed.call("GET", "/health", from("203.0.113.9"))).status).toBe(403);
  for (const [address, status] of [
    ["10.1.2.3", 200],
    ["::ffff:10.1.2.3", 200],
    ["192.0.2.7", 200],
    ["192.0.2.8", 403],
    ["2001:db8:1:ffff::1", 200],
    ["2001:db8:2::1", 403],
  ] as const) {
    expect([address, (await listed.call("GET", "/health", from(address))).status]).toEqual([address, status]);
  }
  await listed.app.close();
  await open.app.close();
});

test("without keys nobody is served by another name of this machine, or for a page of somebody else's", async () => {
  const config = testConfig();
  const corsOrigins = ["https://mine.example"];
  const open = makeTestHttp({
    ...{ sql, root },
    config: {
      ...config,
      keys: { ...config.keys, enabled: false },
      http: { ...config.http, corsOrigins, publicUrl: "https://films.example/api" },
    },
  });
  const at = (host: string, headers: Record<string, string> = {}) =>
    open.call("GET", `http://${host}/api/v1/jobs`, { headers }).then(({ status }) => status);
  for (const host of [
    "localhost",
    "localhost:8000",
    "127.0.0.1:8000",
    "[::1]:8000",
    "app.localhost",
    "films.example",
  ]) {
    expect([host, await at(host)]).toEqual([host, 200]);
  }
  // A name that leads here for a page whose script then asks; an address of the network, at which nothing should listen.
  for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "2130706433x"]) {
    expect([host, await at(host)]).toEqual([host, 403]);
  }
  for (const [headers, status] of [
    [{ origin: "http://localhost", "sec-fetch-site": "same-origin" }, 200],
    [{ "sec-fetch-site": "none" }, 200],
    [{ origin: "https://mine.example", "sec-fetch-site": "cross-site" }, 200],
    [{ origin: "https://evil.example", "sec-fetch-site": "cross-site" }, 403],
    [{ origin: "http://localhost:3000", "sec-fetch-site": "same-site" }, 403],
    [{ origin: "null" }, 403],
    [{ "sec-fetch-site": "cross-site" }, 403],
  ] as const) {
    expect([headers, await at("localhost", headers)]).toEqual([headers, status]);
  }
  await open.app.close();
  // With keys none of it matters: who has one is let in, whatever page or name it came by.
  const { key } = await http.key();
  const answer = await http.call("GET", "http://evil.example/api/v1/jobs", { key, headers: { origin: "null" } });
  expect(answer.status).toBe(200);
});

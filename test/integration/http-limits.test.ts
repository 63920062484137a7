/** Limits and the shape of errors: rates by key and by address, sizes, failing parts, and hostile text everywhere. */
import { expect, test } from "bun:test";
import { errorAnswerSchema, HTTP_ERRORS } from "../../plugins/errors.ts";
import { ROUTES } from "../../plugins/routes.ts";
import type { Limiter } from "../../src/coordination/ports.ts";
import type { Sql } from "../../src/database/sql.ts";
import { JOB_ERROR_KINDS, REQUEST_ERROR_KINDS, RendiffError } from "../../src/errors.ts";
import { openTestDatabase } from "../faults/protocol-harness.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { fakeCoordination, makeTestHttp, type TestConfig, testConfig } from "./http-harness.ts";

const { sql } = await openTestDatabase("pglite");
const root = await makeTempDir("http-limits");
const http = makeTestHttp({ sql, root });
const { key } = await http.key({ role: "admin" });

const withKeys = (keys: Partial<TestConfig["keys"]>, http: Partial<TestConfig["http"]> = {}): TestConfig => {
  const config = testConfig();
  return { ...config, keys: { ...config.keys, ...keys }, http: { ...config.http, ...http } };
};
const headersOf = (answer: Response, names: readonly string[]) => names.map((name) => answer.headers.get(name));
const RATE = ["x-ratelimit-limit", "x-ratelimit-remaining"];

test("a key's rate is its own for each endpoint, on every answer, and its limit says when to come back", async () => {
  const limited = await http.key({ rate_limit: 3 });
  const ask = (path: string) => http.call("GET", path, { key: limited.key });
  for (const left of ["2", "1", "0"]) expect(headersOf(await ask("/jobs"), RATE)).toEqual(["3", left]);
  const refused = await ask("/jobs");
  expect([refused.status, ...headersOf(refused, RATE)]).toEqual([429, "3", "0"]);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(Number(refused.headers.get("x-ratelimit-reset"))).toBeGreaterThan(0);
  expect(await refused.json()).toMatchObject({ error: { code: "RATE_LIMIT_ERROR" } });
  const elsewhere = await ask("/jobs/x");
  expect([elsewhere.status, ...headersOf(elsewhere, RATE)]).toEqual([404, "3", "2"]);
  expect(headersOf(await http.call("GET", "/jobs", { key }), RATE)[0]).toBe("100000");
});

test("an address is limited before its key is looked at, and a valid key does not help", async () => {
  let lookups = 0;
  const counting: Sql = {
    ...sql,
    query(text, params) {
      if (text.includes("FROM api_keys")) lookups++;
      return sql.query(text, params);
    },
  };
  const config = withKeys({ addressRateLimitPerMinute: 5 }, { trustedProxies: ["127.0.0.0/8"] });
  const guarded = makeTestHttp({ sql: counting, root, config });
  const guess = (address: string, guessed: string) =>
    guarded.call("GET", "/jobs", { key: guessed, headers: { "x-forwarded-for": address } });
  for (let index = 0; index < 5; index++) expect((await guess("203.0.113.9", `guess ${index}`)).status).toBe(401);
  const before = lookups;
  for (const guessed of ["one more", key]) {
    const refused = await guess("203.0.113.9", guessed);
    expect([refused.status, refused.headers.get("x-ratelimit-limit")]).toEqual([429, null]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  }
  expect(lookups).toBe(before);
  expect((await guess("203.0.113.10", key)).status).toBe(200);
  await guarded.app.close();
});

test("what an address sends beyond its limit is not even counted, until the window ends", async () => {
  const config = withKeys({ addressRateLimitPerMinute: 2 });
  const counted: string[] = [];
  const coordination = fakeCoordination();
  const limiter: Limiter = {
    ...coordination.limiter,
    async consume(name, limit, windowMs) {
      counted.push(name);
      const decision = await coordination.limiter.consume(name, limit, windowMs);
      return { ...decision, resetMs: 50 };
    },
  };
  const guarded = makeTestHttp({ sql, root, config, services: { coordination: { ...coordination, limiter } } });
  const guess = async () => await guarded.call("GET", "/jobs", { key: "wrong" });
  const statuses = [];
  for (let tries = 0; tries < 10; tries += 1) statuses.push((await guess()).status);
  expect([statuses.slice(0, 3), statuses.at(-1), counted.length]).toEqual([[401, 401, 429], 429, 3]);
  const refused = await guess();
  expect(Number(refused.headers.get("retry-after"))).toBe(1);
  expect([refused.headers.get("x-content-type-options"), refused.headers.get("x-request-id")]).not.toContain(null);
  await until(async () => {
    await guess();
    return counted.length > 3;
  });
  await guarded.app.close();
});

test("an address that is turned away gets the answer that all get, counted and without a line in the log", async () => {
  const origin = "https://app.example.com";
  const config = withKeys({ addressRateLimitPerMinute: 1 }, { corsOrigins: [origin] });
  const guarded = makeTestHttp({ sql, root, config });
  const guess = (headers: Record<string, string> = {}) =>
    guarded.call("GET", "/jobs", { key: "wrong", headers: { origin, ...headers } });
  // The second is the first that is refused, and comes all the way; the third is turned away.
  const [, second, third] = [await guess(), await guess(), await guess()];
  const lines = guarded.log.length;
  const named = await guess({ "x-request-id": "my-own" });
  const plain = (answer: Response) =>
    Object.fromEntries(answer.headers.entries().filter(([name]) => name !== "x-request-id"));
  expect(plain(third)).toEqual(plain(second));
  const { error } = (await named.json()) as { error: { code: string; request_id: string; details: unknown[] } };
  expect(error).toMatchObject({ code: "RATE_LIMIT_ERROR", request_id: "my-own", details: [] });
  expect([named.headers.get("x-request-id"), named.headers.get("access-control-allow-origin")]).toEqual([
    "my-own",
    origin,
  ]);
  expect(named.headers.get("cross-origin-resource-policy")).toBe("cross-origin");
  // The next answer has nothing of the one before.
  expect((await guess({ origin: "https://elsewhere.example" })).headers.get("access-control-allow-origin")).toBeNull();
  expect(guarded.log.length).toBe(lines);
  expect(guarded.finished.slice(-3)).toEqual(Array.from({ length: 3 }, () => ({ route: "none", status: 429 })));
  await guarded.app.close();
});

test("the table of errors knows every kind, and none of the codes is made up", () => {
  for (const kind of [...REQUEST_ERROR_KINDS, ...JOB_ERROR_KINDS])
    expect(HTTP_ERRORS[kind].status).toBeGreaterThan(399);
});

test("every error has the one shape, headers and all", async () => {
  const answers = [
    await http.call("GET", "/jobs"),
    await http.call("GET", "/nowhere"),
    await http.call("PUT", "/jobs", { key }),
    await http.call("TRACE", "/jobs", { key }),
    await http.call("POST", "/convert", { key, body: "{" }),
    await http.call("POST", "/convert", { key, json: {} }),
    await http.call("POST", "/convert", { key, body: "x".repeat(70_000) }),
    await http.call("POST", "/stream", {
      key,
      json: { input: "a.mp4", output: "b", format: "dash", thumbnails: true },
    }),
    await http.call("GET", "/jobs?page=x", { key }),
    await http.call("GET", "/files/x"),
    await http.call("OPTIONS", "/jobs"),
  ];
  expect(answers.map(({ status }) => status)).toEqual([401, 404, 404, 404, 400, 400, 413, 422, 400, 401, 404]);
  for (const answer of answers) {
    const { error } = errorAnswerSchema.parse(await answer.json());
    expect(error.request_id).toBe(answer.headers.get("x-request-id") as string);
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    expect(answer.headers.get("content-type")).toStartWith("application/json");
  }
});

test("an address that cannot be decoded is that of nothing, on every route", async () => {
  for (const { method, path } of ROUTES.filter(({ path, endless }) => path.includes(":") && endless !== true)) {
    for (const bad of ["%", "%zz", "%f0%9f%92"]) {
      const answer = await http.call(method, path.replaceAll(/:\w+/g, bad), { key });
      expect([method, path, answer.status]).toEqual([method, path, 404]);
    }
  }
});

test("a bug says nothing to the client and everything to the log", async () => {
  const secret = "SELECT secret FROM /var/lib at db.internal";
  const media = {
    probe: async () => {
      throw Object.assign(new Error(secret), { status: 418, code: "TEAPOT", toResponse: () => new Response(secret) });
    },
    plan: async () => {
      throw new RendiffError({ kind: "internal", publicMessage: secret });
    },
    estimate: async () => {
      throw new RendiffError({ kind: "internal", publicMessage: secret });
    },
  };
  const broken = makeTestHttp({ sql, root, services: { media } });
  const probed = await broken.call("POST", "/probe", { key, json: { input: "a.mov" } });
  const planned = await broken.call("POST", "/convert?dry_run=1", { key, json: { input: "a.mov", output: "b.mp4" } });
  const estimated = await broken.call("POST", "/estimate", { key, json: { input: "a.mov", output: "b.mp4" } });
  for (const answer of [probed, planned, estimated]) {
    expect(answer.status).toBe(500);
    const text = await answer.text();
    expect(text).not.toContain("secret");
    expect(JSON.parse(text)).toMatchObject({ error: { code: "INTERNAL_ERROR", details: [] } });
    const requestId = answer.headers.get("x-request-id");
    expect(broken.log.some(({ level, fields }) => level === "error" && fields.request_id === requestId)).toBe(true);
  }
  await broken.app.close();
});

test("a worker that does not answer in time is 503, and is told to stop", async () => {
  let stopped = false;
  const asked = Promise.withResolvers<void>();
  const media = {
    plan: () => Promise.reject(new Error("unused")),
    estimate: () => Promise.reject(new Error("unused")),
    probe: (_ref: unknown, signal: AbortSignal) =>
      new Promise<never>((_resolve, reject) => {
        asked.resolve();
        signal.addEventListener("abort", () => {
          stopped = true;
          reject(signal.reason);
        });
      }),
  };
  const slow = makeTestHttp({ sql, root, services: { media } });
  const leaving = new AbortController();
  const request = new Request("http://localhost/api/v1/probe", {
    method: "POST",
    body: JSON.stringify({ input: "a.mov" }),
    headers: { "x-api-key": key, "content-type": "application/json" },
    signal: leaving.signal,
  });
  const answering = slow.app.handle(request);
  await asked.promise;
  leaving.abort();
  expect((await answering).status).toBe(503);
  expect(stopped).toBe(true);
  await slow.app.close();
});

test("while the database is away the answer is 503 with a time to come back", async () => {
  const away: Sql = {
    ...sql,
    query: async () => {
      throw new RendiffError({
        kind: "database.unavailable",
        retry: "backoff",
        publicMessage: "The database is away.",
      });
    },
  };
  const down = makeTestHttp({
    sql: away,
    root,
    services: {
      readiness: () => ({ ready: false, reasons: ["draining"] }),
      healthChecks: [
        { name: "database", vital: true, run: async () => Promise.reject(new Error("connect db.internal:5432")) },
        { name: "queue", vital: false, run: async () => "3 waiting" },
      ],
    },
  });
  const answer = await down.call("GET", "/jobs", { key });
  expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
  const health = await down.call("GET", "http://localhost/health");
  expect([health.status, await health.json()]).toMatchObject([
    503,
    {
      status: "unhealthy",
      checks: { database: { status: "unhealthy", note: "does not work" }, queue: { note: "3 waiting" } },
    },
  ]);
  expect((await down.call("GET", "http://localhost/health/live")).status).toBe(200);
  const ready = await down.call("GET", "http://localhost/health/ready");
  expect([ready.status, await ready.json()]).toEqual([503, { status: "not_ready", reasons: ["draining"] }]);
  await down.app.close();
});

test("a hint that cannot be queued costs the client nothing: the job is there", async () => {
  const { coordination } = http;
  const broken = makeTestHttp({
    sql,
    root,
    services: {
      coordination: {
        ...coordination,
        readyQueue: { ...coordination.readyQueue, add: () => Promise.reject(new Error("no Redis")) },
        bus: { ...coordination.bus, publish: () => Promise.reject(new Error("no Redis")) },
      },
    },
  });
  const answer = await broken.call("POST", "/convert", { key, json: { input: "a.mov", output: "b.mp4" } });
  expect(answer.status).toBe(201);
  expect(broken.log.filter(({ level }) => level === "warn").length).toBe(2);
  await broken.app.close();
});

test("CORS is for the origins that are named, preflights included", async () => {
  const ask = (method: string, origin: string) =>
    http.call(method, "/jobs", { key, headers: { origin, "access-control-request-method": "POST" } });
  const allowed = await ask("OPTIONS", "https://app.example");
  expect([allowed.status, allowed.headers.get("access-control-allow-origin")]).toEqual([204, "https://app.example"]);
  expect((await ask("GET", "https://app.example")).headers.get("access-control-allow-origin")).toBe(
    "https://app.example",
  );
  for (const origin of ["https://evil.example", "null", "https://app.example.evil.example"]) {
    expect((await ask("OPTIONS", origin)).headers.get("access-control-allow-origin")).toBeNull();
    expect((await ask("GET", origin)).headers.get("access-control-allow-origin")).toBeNull();
  }
});

test("a route's label in the metrics is its rule, never what the client wrote", async () => {
  const routes = new Set(["none", ...ROUTES.map(({ id }) => id)]);
  await http.call("GET", "/jobs/0193a000-0000-7000-8000-000000000001", { key });
  await http.call("GET", "/secret/path");
  expect(http.finished.every(({ route }) => routes.has(route))).toBe(true);
  expect(http.finished.some(({ route, status }) => route === "jobs.get" && status === 404)).toBe(true);
});

const HOSTILE = [
  "",
  "\u0000",
  "\ud800",
  "../../etc/passwd",
  "/etc/passwd",
  "local://../../etc/passwd",
  "local://%2e%2e/%2e%2e/etc/passwd",
  "'; DROP TABLE jobs; --",
  '"><script>alert(1)</script>',
  "$(reboot)`reboot`",
  "-i",
  "a\r\nX-Injected: 1",
  "\u202e\u2066\ufeff",
  "x".repeat(20_000),
  "%00%0d%0a",
  "file:///etc/passwd",
  "concat:a|b",
  "http://169.254.169.254/",
  "constructor",
  "__proto__",
  "💥".repeat(50),
];

test("hostile text in any field of any route is never a failure of ours, and says nothing of the inside", async () => {
  const bodies = (text: string): unknown[] => [
    text,
    { [text]: text },
    { input_path: text, output_path: "b.mp4" },
    { input_path: "a.mov", output_path: text },
    { input_path: "a.mov", output_path: "b.mp4", operations: [{ type: text }] },
    { input_path: "a.mov", output_path: "b.mp4", operations: [{ type: "scale", width: text, [text]: text }] },
    { input_path: "a.mov", output_path: "b.mp4", options: { format: text, metadata: { title: text, [text]: text } } },
    { input_path: "a.mov", output_path: "b.mp4", metadata: { [text]: { [text]: [text] } } },
    { input: text },
    { priority: text },
    { name: text, role: text },
  ];
  for (const text of HOSTILE) {
    const encoded = encodeURIComponent(text.toWellFormed());
    for (const rule of ROUTES.filter(({ access, endless }) => access !== "public" && endless !== true)) {
      const path = `${rule.path.replaceAll(/:\w+/g, encoded || "x")}?${encoded}=${encoded}&page=${encoded}`;
      const sends = ["POST", "PATCH", "PUT"].includes(rule.method) ? bodies(text) : [undefined];
      for (const json of sends) {
        const headers = { "idempotency-key": encoded.slice(0, 200) || "x", "last-event-id": encoded };
        const target = json === undefined ? path : path.replace(/\?.*/, "");
        const answer = await http.call(rule.method, target, { key, headers, ...(json === undefined ? {} : { json }) });
        const said = await answer.text();
        const name = `${rule.id} ${JSON.stringify(json)?.slice(0, 100)} ${said.slice(0, 200)}`;
        expect([name, answer.status < 500]).toEqual([name, true]);
        expect(said).not.toMatch(/at .*\.ts:|node_modules|SELECT |INSERT |root:x:/);
      }
    }
  }
}, 60_000);

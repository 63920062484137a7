/**
 * Secrets are fed in wherever one can be given, things are made to go wrong around them, and then everything that the
 * service has said or stored is searched for them: its log at the finest level, its answers, its rows.
 */
import { expect, test } from "bun:test";
import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { makeApi } from "../support/api.ts";
import { afterFile } from "../support/cleanup.ts";
import { makeClip } from "../support/media.ts";
import { makeSite, runCommand, startServer } from "../support/server.ts";
import { freePort } from "../support/servers.ts";
import { ACCESS_KEY, startStore } from "../support/stores.ts";
import { until } from "../support/until.ts";

/** Each is its own, so that a finding says which. */
const plant = (name: string): string => `planted${name}${Bun.randomUUIDv7().replaceAll("-", "").slice(-14)}`;

const SECRETS = {
  admin: plant("Admin"),
  signing: plant("SigningThatIsLongEnough"),
  database: plant("Database"),
  store: plant("Store"),
  blobs: Buffer.from(plant("Blobs")).toString("base64"),
  collector: plant("Collector"),
  team: plant("Team"),
  inputUrl: plant("InputUrl"),
  webhookUrl: plant("WebhookUrl"),
  wrongKey: plant("WrongKey"),
} as const;

const findIn = (text: string, secrets: Readonly<Record<string, string>>): string[] =>
  Object.entries(secrets).flatMap(([name, secret]) => (text.includes(secret) ? [name] : []));

const withPassword = (url: string, password: string): string => {
  const parsed = new URL(url);
  parsed.password = password;
  return parsed.href;
};

async function allRows(url: string): Promise<string> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const tables = await sql<{ name: string }[]>`
      SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`;
    const texts = await Promise.all(
      tables.map(async ({ name }) => `${name}: ${JSON.stringify(await sql`SELECT t::text FROM ${sql(name)} t`)}`),
    );
    return texts.join("\n");
  } finally {
    await sql.end();
  }
}

/** Repeats what it was sent, as some do with a token that they do not know. */
function startEchoingCollector(): string {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch({ headers }) {
      const token = headers.get("authorization")?.replace("Bearer ", "");
      return new Response(`Not known: ${token} ${headers.get("x-team")}. `.repeat(100), { status: 401 });
    },
  });
  afterFile(() => server.stop(true));
  return `http://127.0.0.1:${server.port}`;
}

test("no secret is in the log, in an answer, or in a row", async () => {
  const store = await startStore("rclone");
  const base = await makeSite("postgres");
  const databaseUrl = base.env.DATABASE_URL ?? "";
  const site = {
    ...base,
    env: {
      ...base.env,
      ...{ LOG_LEVEL: "trace", ADMIN_API_KEYS: SECRETS.admin, SIGNING_SECRET: SECRETS.signing },
      DATABASE_URL: withPassword(databaseUrl, SECRETS.database),
      ...{ S3_ENDPOINT: store.url, S3_ACCESS_KEY_ID: ACCESS_KEY, S3_SECRET_ACCESS_KEY: SECRETS.store },
      AZURE_STORAGE_CONNECTION_STRING: `DefaultEndpointsProtocol=http;AccountName=a;AccountKey=${SECRETS.blobs};BlobEndpoint=http://127.0.0.1:${freePort()}/a;`,
      OTEL_EXPORTER_OTLP_ENDPOINT: startEchoingCollector(),
      OTEL_EXPORTER_OTLP_HEADERS: `Authorization=Bearer%20${SECRETS.collector},x-team=${SECRETS.team}`,
      ALLOW_PRIVATE_NETWORKS: "loopback",
    },
  };
  await copyFile(await makeClip({ durationSeconds: 1 }), join(site.storage, "in.mp4"));
  const server = await startServer(site);
  const said: string[] = [];
  const call = async (path: string, { body, key = SECRETS.admin }: { body?: unknown; key?: string } = {}) => {
    const answer = await fetch(`${server.url}/api/v1${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { "x-api-key": key, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, text, json: JSON.parse(text === "" ? "null" : text) as Record<string, string> };
  };
  const tell = async (...args: Parameters<typeof call>) => {
    const answer = await call(...args);
    said.push(answer.text);
    return answer;
  };

  // What shows a key once is not searched; everything after it is.
  const created = await call("/admin/api-keys", { body: { name: "mine", role: "user" } });
  expect(created.status).toBe(201);
  const { key = "", webhook_secret: webhookSecret = "" } = created.json;
  const mine = { key: key.slice(key.lastIndexOf("_") + 1), webhookSecret: webhookSecret.replace(/^whsec_/, "") };
  expect([mine.key.length > 16, mine.webhookSecret.length > 16]).toEqual([true, true]);

  const job = { operations: [{ type: "transcode", video_codec: "vp8", width: 64, height: 48, audio_codec: "none" }] };
  const at = (secret: string, path: string): string => `http://user:${secret}@127.0.0.1:${freePort()}${path}`;
  const api = makeApi(server.url, key);
  const ended: string[] = [];
  for (const body of [
    { ...job, input: "in.mp4", output: "a.webm", webhook_url: `http://127.0.0.1:${freePort()}/hook` },
    { ...job, input: "in.mp4", output: "s3://bucket/a.webm" },
    { ...job, input: "in.mp4", output: "azure://container/a.webm" },
    { ...job, input: at(SECRETS.inputUrl, "/in.mp4"), output: "b.webm" },
    { ...job, input: "in.mp4", output: "c.webm", webhook_url: at(SECRETS.webhookUrl, "/hook") },
  ]) {
    const { status, json } = await tell("/convert", { body, key });
    if (status === 201) ended.push(json.id ?? "");
  }
  expect(ended.length).toBeGreaterThanOrEqual(2);
  await api.ended(ended[0] ?? "");
  await until(async () => (await call(`/jobs/${ended[1]}`, { key })).json.attempt !== "0", { timeoutMs: 20_000 });
  await tell("/jobs", { key: SECRETS.wrongKey });
  await tell("/webhooks/test", { body: { url: at(SECRETS.webhookUrl, "/") }, key });
  await tell("/admin/api-keys", { body: { name: SECRETS.admin.slice(0, 3), role: "nonsense" } });
  for (const path of ["/jobs", `/jobs/${ended[0]}/webhooks`, `/jobs/${ended[0]}/logs`, "/health", "/capabilities"]) {
    await tell(path, { key });
  }
  for (const path of [
    "/admin/api-keys",
    "/admin/audit",
    "/admin/stats",
    "/admin/storage",
    "/admin/workers",
    "/metrics",
  ]) {
    said.push(await (await fetch(`${server.url}/api/v1${path}`, { headers: { "x-api-key": SECRETS.admin } })).text());
  }
  await until(async () => (await server.log()).includes("traces could not be sent"), { timeoutMs: 20_000 });
  // A store that does not answer would hold a drain up.
  await server.kill();

  // A database that refuses, and settings that are refused.
  const port = new URL(databaseUrl);
  port.port = `${freePort()}`;
  const refused = { ...site.env, DATABASE_URL: withPassword(port.href, SECRETS.database) };
  const failed = await runCommand(["serve"], { cwd: site.folder, env: refused });
  const wrong = { ...site.env, SIGNING_SECRET: "short", DATABASE_URL: `mysql://u:${SECRETS.database}@h/x` };
  const misconfigured = await runCommand(["serve"], { cwd: site.folder, env: wrong });
  expect([failed.exitCode === 0, misconfigured.exitCode]).toEqual([false, 78]);

  const all = { ...SECRETS, ...mine };
  const log = await server.log();
  expect(log).toContain('"level":"debug"');
  expect(log.includes("Not known: [redacted] [redacted].")).toBe(true);
  // Not even the beginning of one, where a text was cut.
  expect(log.match(/plantedCo.*?"/g)).toBeNull();
  expect(findIn(log, all)).toEqual([]);
  expect(findIn([failed, misconfigured].map(({ stdout, stderr }) => stdout + stderr).join("\n"), all)).toEqual([]);
  expect(findIn(said.join("\n"), all)).toEqual([]);
  // A webhook's secret is kept, since it has to sign; nothing else is.
  const rows = (await allRows(databaseUrl)).replaceAll(mine.webhookSecret, "");
  expect(rows).toContain(ended[0] ?? "nothing");
  expect(findIn(rows, all)).toEqual([]);
}, 120_000);

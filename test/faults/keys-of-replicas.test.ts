/** What holds over three replicas that are processes of their own: a key's limit and its revocation, with Redis and without. */
import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { makeApi } from "../support/api.ts";
import { afterFile } from "../support/cleanup.ts";
import {
  makeKey,
  makeSite,
  NO_FFMPEG,
  type RunningServer,
  runCommand,
  type Site,
  startServer,
} from "../support/server.ts";
import { startRedis, type TestServer } from "../support/servers.ts";
import { until } from "../support/until.ts";

const REPLICAS = 3;
const LIMIT = 30;
/** Of what each replica may let through by itself. */
const ALONE_MAX = 1.5 * LIMIT;
/** Of what a replica knows of a key. */
const CACHE_LIFE_MS = 5_000;
const START_MS = 60_000;

let site: Site;
let redis: TestServer;
let replicas: readonly RunningServer[];
let admin: string;

beforeAll(async () => {
  site = await makeSite("cluster");
  redis = await startRedis(join(site.folder, "redis"));
  afterFile(() => redis.stop());
  admin = await makeKey(site, { role: "admin" });
  const env = { RENDIFF_ROLE: "api", REDIS_URL: redis.url, ...NO_FFMPEG };
  replicas = await Promise.all(Array.from({ length: REPLICAS }, () => startServer(site, env)));
}, START_MS);

interface MadeKey {
  readonly id: string;
  readonly key: string;
}

const administer = <T>(method: string, path: string, body?: unknown) =>
  makeApi(replicas[0]?.url ?? "", admin).call<T>(method, `/admin/api-keys${path}`, body);
const makeUser = async (more: object = {}): Promise<MadeKey> =>
  (await administer<MadeKey>("POST", "", { name: "user", role: "user", ...more })).body;
const limitedKey = async (): Promise<string> => (await makeUser({ rate_limit: LIMIT })).key;

/** From the answer to the revocation until no replica takes the key, all of which had it in their cache. */
async function revocationMs(revoke: (id: string) => Promise<unknown>): Promise<number> {
  const { id, key } = await makeUser();
  const statuses = () =>
    Promise.all(replicas.map(async ({ url }) => (await makeApi(url, key).call("GET", "/jobs")).status));
  expect(await statuses()).toEqual(replicas.map(() => 200));
  await revoke(id);
  const revokedAtMs = performance.now();
  await until(async () => (await statuses()).every((status) => status === 401), { timeoutMs: 15_000, intervalMs: 20 });
  return performance.now() - revokedAtMs;
}

const overTheApi = (id: string) => administer("DELETE", `/${id}`);
const overTheCommand = async (id: string): Promise<void> => {
  const env = { ...site.env, REDIS_URL: redis.url };
  expect((await runCommand(["keys", "revoke", id], { cwd: site.folder, env })).exitCode).toBe(0);
};

/** Twice as many as one limit to each replica, all at once; how many each let through. */
async function burst(key: string): Promise<number[]> {
  const ask = async ({ url }: RunningServer): Promise<number> => {
    const answers = await Promise.all(Array.from({ length: 2 * LIMIT }, () => makeApi(url, key).call("GET", "/jobs")));
    expect(answers.filter(({ status }) => status !== 200 && status !== 429)).toEqual([]);
    return answers.filter(({ status }) => status === 200).length;
  };
  return await Promise.all(replicas.map(ask));
}

const sum = (counts: readonly number[]): number => counts.reduce((all, count) => all + count, 0);

async function redisIs(status: "ok" | "down"): Promise<void> {
  const seen = async ({ url }: RunningServer): Promise<boolean> => {
    const { checks } = (await (await fetch(`${url}/health`)).json()) as { checks: { redis: { status: string } } };
    return (checks.redis.status === "healthy") === (status === "ok");
  };
  await until(async () => (await Promise.all(replicas.map(seen))).every(Boolean), {
    timeoutMs: 15_000,
    what: `Redis to be ${status} for all`,
  });
}

test("with Redis three replicas hold it together, within one of the ideal", async () => {
  for (let round = 0; round < 3; round += 1) {
    expect(Math.abs(sum(await burst(await limitedKey())) - LIMIT)).toBeLessThanOrEqual(1);
  }
});

test("a revoked key is refused by every replica within a second, whoever revoked it", async () => {
  expect(await revocationMs(overTheApi)).toBeLessThan(1_000);
  expect(await revocationMs(overTheCommand)).toBeLessThan(1_000);
});

test("a key that has used its limit up gets no new one from a replica when Redis dies", async () => {
  const [used, fresh] = [await limitedKey(), await limitedKey()];
  const before = await burst(used);
  expect(sum(before)).toBe(LIMIT);
  await redis.crash();
  await redisIs("down");
  const [after, alone] = [await burst(used), await burst(fresh)];
  console.log(`let through by each: ${before} with Redis, ${after} more without it, ${alone} of a new key`);
  for (const [index, count] of after.entries()) {
    expect((before[index] ?? 0) + count).toBeLessThanOrEqual(ALONE_MAX);
  }
  for (const count of alone) {
    expect(count).toBeGreaterThanOrEqual(LIMIT - 1);
    expect(count).toBeLessThanOrEqual(ALONE_MAX);
  }
});

test("without Redis a revocation reaches every replica within the cache's life", async () => {
  const tookMs = await revocationMs(overTheApi);
  console.log(`refused everywhere after ${Math.round(tookMs)} ms`);
  expect(tookMs).toBeLessThan(CACHE_LIFE_MS + 1_000);
});

import { expect, test } from "bun:test";
import { makeHealth } from "../../plugins/health/check.ts";
import type { Sql } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import type { StorageRegistry } from "../storage/port.ts";
import { type HealthParts, makeHealthChecks } from "./health.ts";

const { signal } = new AbortController();

interface World {
  readonly durability: Sql["durability"];
  readonly freeBytes: number | null;
  readonly waitSeconds: number;
  readonly sandbox: "bubblewrap" | "none";
}

const local = (freeBytes: number | null) => ({
  name: "local",
  properties: { inPlace: true },
  freeBytes: async () => freeBytes,
});

function checksIn({ durability, freeBytes, waitSeconds, sandbox }: World) {
  const parts = {
    sql: {
      durability,
      query: async () => [{ priority: 1, ready: 1, delayed: 0, oldest: waitSeconds, processing: 0 }],
    },
    storage: { names: ["local"], backend: () => local(freeBytes) } as unknown as StorageRegistry,
    coordination: { kind: "memory", ping: async () => {} },
    media: {
      capabilities: { ffmpegVersion: "5.1" },
      runner: { sandbox: { mode: sandbox, reason: "no bubblewrap" } },
    },
  } as unknown as HealthParts;
  return async () =>
    Object.fromEntries(
      await Promise.all(makeHealthChecks(parts).map(async ({ name, run }) => [name, await run(signal)])),
    );
}

test("what is well says little", async () => {
  const run = checksIn({ durability: "fsync", freeBytes: null, waitSeconds: 5, sandbox: "bubblewrap" });
  expect(await run()).toMatchObject({ database: null, ffmpeg: "FFmpeg 5.1", storage: null, queue: null });
});

test("what an operator should know is said", async () => {
  const run = checksIn({ durability: "process", freeBytes: 1e6, waitSeconds: 7_200, sandbox: "none" });
  expect(await run()).toMatchObject({
    database: expect.stringContaining("power failure"),
    ffmpeg: expect.stringContaining("without a sandbox: no bubblewrap"),
    storage: "local is nearly full",
    queue: "a job has waited for 7200 s",
  });
});

test("a server without its database or its storage is not well; without the rest it still is", () => {
  const parts = {} as HealthParts;
  const vital = makeHealthChecks(parts).filter((check) => check.vital);
  expect(vital.map(({ name }) => name)).toEqual(["database", "storage"]);
});

test("a store elsewhere that does not answer is remarked on, and fails nothing", async () => {
  const remark = async (kind: "storage.denied" | "storage.unavailable" | null) => {
    const stat = async (): Promise<null> => {
      if (kind === null) return null;
      throw new RendiffError({ kind, publicMessage: "x" });
    };
    const backend = () => ({ name: "archive", properties: { inPlace: false }, stat });
    const storage = { names: ["archive"], backend } as unknown as StorageRegistry;
    const checks = makeHealthChecks({ storage } as unknown as HealthParts);
    return await checks.find(({ name }) => name === "storage")?.run(signal);
  };
  expect(await remark(null)).toBeNull();
  expect(await remark("storage.denied")).toBe("archive denies access");
  expect(await remark("storage.unavailable")).toBe("archive does not answer");
});

test("stores that hang are remarked on before the check itself is late, each by its name", async () => {
  const hang = (_key: string, heeded: AbortSignal): Promise<null> =>
    new Promise((_, reject) => heeded.addEventListener("abort", () => reject(heeded.reason)));
  const stores: Readonly<Record<string, typeof hang>> = { slow: hang, well: async () => null, gone: hang };
  const backend = (name: string) => ({ name, properties: { inPlace: false }, stat: stores[name] });
  const storage = { names: Object.keys(stores), backend } as unknown as StorageRegistry;
  const checks = makeHealthChecks({ storage, storeTimeoutMs: 20 } as unknown as HealthParts);
  const health = await makeHealth(
    checks.filter(({ name }) => name === "storage"),
    "test",
  )();
  expect(health).toMatchObject({
    status: "healthy",
    checks: { storage: { status: "healthy", note: "slow does not answer; gone does not answer" } },
  });
});

import { describe, expect, test } from "bun:test";
import type { Sql } from "../database/sql.ts";
import { makeSampler, type SampleParts } from "./sample.ts";

const ROW = {
  depth: { 0: 3 },
  oldest: 7,
  job_seconds: 2,
  live: { workers: 1, slots: 2 },
  webhooks: { n: 0, seconds: 0 },
};

function setUp(answer: () => Promise<readonly unknown[]>, patienceMs = 10_000) {
  let nowMs = 1_000;
  const errors: unknown[] = [];
  let asked = 0;
  const query = async (text: string): Promise<readonly unknown[]> => {
    if (text.includes("storage_usage")) return [];
    asked += 1;
    return await answer();
  };
  const parts: SampleParts = {
    ...{ sql: { query } as unknown as Sql, disks: { root: "/", none: "/nowhere/at/all" }, reapAfterTicks: 3 },
    coordination: { kind: "memory", ping: async () => {} },
    ...{ onError: (error) => void errors.push(error), now: () => nowMs, patienceMs },
  };
  return {
    ...{ sample: makeSampler(parts), errors, asked: () => asked },
    later: (ms: number) => {
      nowMs += ms;
    },
  };
}

describe("a sample", () => {
  test("is kept for a few seconds, and shows the disks there are", async () => {
    const { sample, asked, later } = setUp(async () => [ROW]);
    const first = await sample();
    expect(first.fleet).toMatchObject({ queueDepth: { high: 3, normal: 0, low: 0 }, backlogSeconds: 7, liveSlots: 2 });
    expect(first.dependencies).toEqual({ database: true });
    expect(Object.keys(first.disks)).toEqual(["root"]);
    await sample();
    expect(asked()).toBe(1);
    later(5_000);
    await sample();
    expect(asked()).toBe(2);
  });

  test("does not wait for a database that hangs: what was seen last is shown, then that it does not answer", async () => {
    let hang: PromiseWithResolvers<readonly unknown[]> | null = null;
    const { sample, later } = setUp(async () => (hang === null ? [ROW] : await hang.promise), 200);
    await sample();
    hang = Promise.withResolvers();
    later(6_000);
    expect((await sample()).fleet).not.toBeNull();
    later(3_000);
    const late = await sample();
    expect([late.dependencies.database, late.fleet === null]).toEqual([false, false]);
    later(60_000);
    expect((await sample()).fleet).toBeNull();
    hang.resolve([ROW]);
    hang = null;
    later(6_000);
    await sample();
    expect(await sample()).toMatchObject({ dependencies: { database: true }, fleet: { liveWorkers: 1 } });
  });

  test("of a database that is away is absent, and its reason is told once", async () => {
    let broken = true;
    const { sample, errors, later } = setUp(async () => {
      if (broken) throw new Error("away");
      return [ROW];
    });
    for (let round = 0; round < 3; round += 1) {
      const { fleet, dependencies } = await sample();
      expect([fleet, dependencies.database]).toEqual([null, false]);
      later(6_000);
    }
    expect(errors).toHaveLength(1);
    broken = false;
    expect((await sample()).dependencies.database).toBe(true);
  });
});

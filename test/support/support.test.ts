import { beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { asSuperuser, createDatabase } from "./postgres.ts";
import { descendantsOf, isAlive, processesWith, untilDead } from "./processes.ts";
import { makeTempDir } from "./temp-dir.ts";
import { until, within } from "./until.ts";

describe("makeTempDir", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await makeTempDir("support");
  });
  for (const round of [1, 2]) {
    test(`a folder made before all tests is there in test ${round}`, () => {
      expect(existsSync(folder)).toBe(true);
    });
  }
});

describe("until", () => {
  test("ends with the first truthy answer, asking again after a failure", async () => {
    let asked = 0;
    const answer = await until(() => {
      asked += 1;
      if (asked === 1) throw new Error("not yet");
      return asked > 2 ? `${asked}` : null;
    });
    expect(answer).toBe("3");
  });

  test("fails by name at the deadline", async () => {
    const waiting = until(() => false, { timeoutMs: 20, intervalMs: 5, what: "the sky to fall" });
    await expect(waiting).rejects.toThrow("Waited 20 ms in vain for the sky to fall.");
  });

  test("within rejects for a promise that never settles", async () => {
    await expect(within(new Promise(() => {}), 10, "nothing")).rejects.toThrow("Waited 10 ms in vain for nothing.");
    expect(await within(Promise.resolve(7), 1_000)).toBe(7);
  });
});

describe("processes", () => {
  test("finds a child by what it carries, and sees it end", async () => {
    const marker = `marker-${Bun.randomUUIDv7()}`;
    const child = Bun.spawn(["sleep", "60"], { env: { MARKER: marker }, detached: true });
    const found = await until(() => processesWith(marker)[0]);
    expect(found.pid).toBe(child.pid);
    expect(descendantsOf(process.pid).map(({ pid }) => pid)).toContain(child.pid);
    child.kill("SIGKILL");
    await untilDead(child.pid);
    expect(isAlive(child.pid)).toBe(false);
    expect(processesWith(marker)).toEqual([]);
  });
});

describe("createDatabase", () => {
  test("gives a database of its own that drop removes", async () => {
    const database = await createDatabase();
    const exists = () =>
      asSuperuser((sql) => sql`SELECT 1 FROM pg_database WHERE datname = ${database.name}`).then(({ count }) => count);
    expect(await exists()).toBe(1);
    const name = await asSuperuser((sql) => sql`SELECT current_database() AS name`, database.url);
    expect(name[0]?.name).toBe(database.name);
    await database.drop();
    expect(await exists()).toBe(0);
  });
});

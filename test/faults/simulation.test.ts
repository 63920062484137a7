/**
 * Seeds. Most run on the transition table, which the statements are held to elsewhere; some run on the statements; and
 * with any one rule taken out the same worlds go wrong, so that their silence means something.
 */
import { describe, expect, test } from "bun:test";
import { testEnv } from "../support/env.ts";
import { ENGINES, openTestDatabase } from "./protocol-harness.ts";
import { MemoryRows, type RowRule } from "./simulation-memory.ts";
import type { ProcessRule } from "./simulation-process.ts";
import { SqlRows } from "./simulation-sql.ts";
import { World, type WorldOptions } from "./simulation-world.ts";

const SEEDS = testEnv().long ? 250_000 : 10_000;
const SQL_BUDGET_MS = testEnv().long ? 600_000 : 12_000;
const SQL_SEEDS_MIN = 5;
const TEETH_SEEDS_MAX = 3_000;

function inMemory(seed: number, off: Partial<WorldOptions> = {}, rules: readonly RowRule[] = []): World {
  return new World({ seed, rows: new MemoryRows(rules), makeId: (name) => name, ...off });
}

test(
  `${SEEDS} seeds without a violation`,
  async () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const violations = await inMemory(seed).run();
      expect({ seed, violations }).toEqual({ seed, violations: [] });
    }
  },
  testEnv().long ? 900_000 : 60_000,
);

describe("the same worlds on the statements", () => {
  for (const engine of ENGINES) {
    test(
      engine,
      async () => {
        const rows = new SqlRows(await openTestDatabase(engine));
        const endsAtMs = performance.now() + SQL_BUDGET_MS;
        let seeds = 0;
        for (let seed = 1; performance.now() < endsAtMs; seed += 1, seeds += 1) {
          const world = new World({ seed, rows, steps: 160, makeId: () => Bun.randomUUIDv7() });
          expect({ seed, violations: await world.run() }).toEqual({ seed, violations: [] });
          await rows.clear();
        }
        expect(seeds).toBeGreaterThan(SQL_SEEDS_MIN);
      },
      SQL_BUDGET_MS + 60_000,
    );
  }
});

/** The first seed that goes wrong. */
async function firstViolation(make: (seed: number) => World): Promise<number | null> {
  for (let seed = 1; seed <= TEETH_SEEDS_MAX; seed += 1) {
    if ((await make(seed).run()).length > 0) return seed;
  }
  return null;
}

describe("with one rule taken out a seed goes wrong", () => {
  const rowRules: RowRule[] = ["lease", "output claims", "cancel before manifest", "reap with manifest", "sweep"];
  for (const rule of rowRules) {
    test(rule, async () => {
      expect(await firstViolation((seed) => inMemory(seed, {}, [rule]))).not.toBeNull();
    }, 30_000);
  }
  const processRules: ProcessRule[] = ["abort first", "read the row", "intent first", "give back"];
  for (const rule of processRules) {
    test(rule, async () => {
      expect(await firstViolation((seed) => inMemory(seed, { off: [rule] }))).not.toBeNull();
    }, 30_000);
  }
  test("a publication that consumes its source", async () => {
    expect(await firstViolation((seed) => inMemory(seed, { consuming: false }))).not.toBeNull();
  }, 30_000);
});

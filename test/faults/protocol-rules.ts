/**
 * A rule of the protocol as a pair of runs: with the rule nothing goes wrong, and with that one rule switched off the
 * same scenario ends in the harm that the rule is there to prevent. A rule whose absence harms nothing is not tested.
 */
import { expect, test } from "bun:test";
import type { Sql, SqlRunner } from "../../src/database/sql.ts";
import { type EngineName, openTestDatabase, type TestDatabase, without } from "./protocol-harness.ts";

/** Where a scenario runs: `sql` may lack the rule, `database` is always whole. */
export interface Stage {
  readonly sql: Sql;
  readonly database: TestDatabase;
  /** Whether the rule holds; for rules that callers keep rather than statements. */
  readonly ruled: boolean;
}

/** Resolves with the harm done, in words, or null when there was none. */
export type Scenario = (stage: Stage) => Promise<string | null>;

export interface Rule {
  readonly name: string;
  /** The guards switched off together, each with what stands in its place; empty where callers keep the rule. */
  readonly off: readonly (readonly [guard: string, replacement: string])[];
  readonly scenario: Scenario;
}

function stripped(sql: Sql, off: Rule["off"]): { sql: Sql; uses: () => number } {
  const layers: ReturnType<typeof without>[] = [];
  let runner: SqlRunner = sql;
  for (const [guard, replacement] of off) {
    const layer = without(runner, guard, replacement);
    layers.push(layer);
    runner = layer;
  }
  return {
    sql: { ...sql, query: (text, params) => runner.query(text, params) },
    uses: () => Math.min(...layers.map((layer) => layer.uses())),
  };
}

/** One test per rule. Each scenario gets rows of its own in a database that the file shares. */
export function testRules(engine: EngineName, rules: readonly Rule[]): void {
  let opened: Promise<TestDatabase> | null = null;
  const open = (): Promise<TestDatabase> => {
    opened ??= openTestDatabase(engine);
    return opened;
  };
  for (const rule of rules) {
    test(`${engine}: ${rule.name}`, async () => {
      const database = await open();
      await reset(database);
      expect(await rule.scenario({ sql: database.sql, database, ruled: true })).toBeNull();
      await reset(database);
      const without = stripped(database.sql, rule.off);
      const harm = await rule.scenario({ sql: without.sql, database, ruled: false });
      expect(harm, "nothing went wrong with the rule switched off").not.toBeNull();
      if (rule.off.length > 0) expect(without.uses()).toBeGreaterThan(0);
    }, 30_000);
  }
}

async function reset(database: TestDatabase): Promise<void> {
  await database.sql.query("DELETE FROM jobs");
  await database.sql.query("DELETE FROM output_claims");
  await database.sql.query("DELETE FROM staging");
  await database.sql.query("DELETE FROM workers");
  await database.sql.query("UPDATE liveness SET tick = 0, at = clock_timestamp()");
}

/** Behind a pooler in transaction mode: each transaction may meet another backend. */
import { expect, test } from "bun:test";
import postgres from "postgres";
import { MIGRATIONS } from "../../migrations/index.ts";
import { migrate } from "../../src/database/migrate.ts";
import { openPostgres } from "../../src/database/postgres/open-postgres.ts";
import { sqlContract } from "../contract/sql.contract.ts";
import { afterFile } from "../support/cleanup.ts";
import { startPooler } from "../support/pooler.ts";
import { createDatabase } from "../support/postgres.ts";
import { startPgBouncer } from "../support/servers.ts";
import { makeTempDir } from "../support/temp-dir.ts";

sqlContract("Postgres behind a pooler in transaction mode", async (statementTimeoutMs) => {
  const { url } = await createDatabase();
  return openPostgres({ url: await startPooler(url, 8), poolSize: 5, statementTimeoutMs, applicationName: "pooled" });
});

sqlContract("Postgres behind PgBouncer in transaction mode", async (statementTimeoutMs) => {
  const { url } = await createDatabase();
  const { port, pathname } = new URL(url);
  const folder = await makeTempDir("pgbouncer");
  const pgbouncer = await startPgBouncer(folder, { postgresPort: Number(port), poolSize: 8 });
  afterFile(() => pgbouncer.stop());
  const pooled = pgbouncer.url + pathname;
  return openPostgres({ url: pooled, poolSize: 5, statementTimeoutMs, applicationName: "pgbouncer" });
});

test("the pooler of these tests is as strict as they need: prepared statements break through it", async () => {
  const { url } = await createDatabase();
  const sql = postgres(await startPooler(url, 3), { max: 1, fetch_types: false, prepare: true });
  const again = async () => {
    for (let n = 0; n < 6; n += 1) {
      await sql.begin((tx) => tx.unsafe("SELECT $1::int AS n", [n], { prepare: true }));
    }
  };
  expect(String(await again().catch((error: unknown) => error))).toContain("prepared statement");
  await sql.end({ timeout: 1 });
});

test("limits hold for each transaction and are gone after it; migrations of several starters run once", async () => {
  const { url } = await createDatabase();
  const pooled = await startPooler(url, 4);
  const open = () => openPostgres({ url: pooled, poolSize: 2, statementTimeoutMs: 700, applicationName: "pooled" });
  const [one, two] = await Promise.all([open(), open()]);
  const limit = "SELECT current_setting('statement_timeout') AS ms";
  expect(await one.query(limit)).toEqual([{ ms: "700ms" }]);
  expect(await one.transaction((tx) => tx.query(limit))).toEqual([{ ms: "700ms" }]);
  const direct = await openPostgres({ url, poolSize: 1, statementTimeoutMs: 900, applicationName: "direct" });
  expect(await direct.query(limit)).toEqual([{ ms: "900ms" }]);
  const runs = await Promise.all([migrate(one), migrate(two), migrate(direct)]);
  expect(runs.flatMap(({ applied }) => applied).toSorted()).toEqual(MIGRATIONS.map(({ name }) => name));
  await Promise.all([one.close(), two.close(), direct.close()]);
}, 30_000);

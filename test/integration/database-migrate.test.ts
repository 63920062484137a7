import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { MIGRATIONS, type Migration } from "../../migrations/index.ts";
import { migrate, pendingMigrations } from "../../src/database/migrate.ts";
import { openPglite } from "../../src/database/pglite/open-pglite.ts";
import { openPostgres } from "../../src/database/postgres/open-postgres.ts";
import type { Sql } from "../../src/database/sql.ts";
import { RendiffError } from "../../src/errors.ts";
import { createDatabase } from "../support/postgres.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const one: Migration = { name: "0001_one", text: "CREATE TABLE one (id int PRIMARY KEY);" };
const two: Migration = { name: "0002_two", text: "CREATE TABLE two (id int); INSERT INTO two VALUES (1);" };
const broken: Migration = { name: "0003_broken", text: "CREATE TABLE three (id int); SELECT 1 / 0;" };

test("every file of migrations/ is in the binary, in order", async () => {
  const folder = join(import.meta.dir, "../../migrations");
  const files = (await readdir(folder)).filter((file) => file.endsWith(".sql")).sort();
  expect(MIGRATIONS.map(({ name }) => `${name}.sql`)).toEqual(files);
  for (const { name, text } of MIGRATIONS) expect(text).toBe(await Bun.file(join(folder, `${name}.sql`)).text());
});

const engines: readonly [string, () => Promise<Sql>][] = [
  [
    "Postgres",
    async () => {
      const { url } = await createDatabase();
      return openPostgres({ url, poolSize: 4, statementTimeoutMs: 2_000, applicationName: "migrate" });
    },
  ],
  ["PGlite", async () => openPglite({ dataDir: await makeTempDir("migrate"), statementTimeoutMs: 2_000 })],
];

describe.each(engines)("migrations on %s", (_, open) => {
  let sql: Sql;
  const failure = async (work: Promise<unknown>): Promise<RendiffError> => {
    const error = await work.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RendiffError);
    return error as RendiffError;
  };

  beforeAll(async () => {
    sql = await open();
  }, 60_000);
  afterAll(() => sql?.close());

  test("what is new is applied, what is there is not", async () => {
    expect(await migrate(sql, { migrations: [one] })).toEqual({ applied: ["0001_one"], ahead: [] });
    expect(await pendingMigrations(sql, [one, two])).toEqual(["0002_two"]);
    expect(await migrate(sql, { migrations: [one, two] })).toEqual({ applied: ["0002_two"], ahead: [] });
    expect(await sql.query("SELECT id FROM two")).toEqual([{ id: 1 }]);
    const rows = await sql.query(
      "SELECT name, length(sha256) AS n, applied_at <= now() AS past FROM schema_migrations",
    );
    expect(rows).toEqual([
      { name: "0001_one", n: 64, past: true },
      { name: "0002_two", n: 64, past: true },
    ]);
  });

  test("a migration that fails leaves nothing of itself, and what was before it stays", async () => {
    expect((await failure(migrate(sql, { migrations: [one, two, broken] }))).kind).toBe("internal");
    expect(await sql.query("SELECT to_regclass('three') IS NULL AS gone")).toEqual([{ gone: true }]);
    expect(await pendingMigrations(sql, [one, two, broken])).toEqual(["0003_broken"]);
  });

  test("a database that is ahead of the binary is accepted and reported", async () => {
    const said: string[] = [];
    const logger = { info: () => {}, warn: (_fields: object, message: string) => said.push(message) };
    expect(await migrate(sql, { migrations: [one], logger })).toEqual({ applied: [], ahead: ["0002_two"] });
    expect(said.length).toBe(1);
  });

  test("another text under a name that was applied is refused by name", async () => {
    const edited: Migration = { ...one, text: `${one.text} -- edited` };
    const error = await failure(migrate(sql, { migrations: [edited, two] }));
    expect(error.publicMessage).toContain("0001_one");
  });

  test("a migration may take longer than a statement's deadline", async () => {
    const long: Migration = { name: "0004_long", text: "SELECT pg_sleep(2.5); CREATE TABLE four (id int);" };
    expect((await migrate(sql, { migrations: [one, two, long] })).applied).toEqual(["0004_long"]);
  }, 20_000);
});

test("processes that start at once apply each migration once, and all wait until it is done", async () => {
  const { url } = await createDatabase();
  const slow: Migration = { name: "0002_slow", text: "SELECT pg_sleep(0.5); CREATE TABLE slow (id int);" };
  const pools = await Promise.all(
    Array.from({ length: 5 }, () =>
      openPostgres({ url, poolSize: 1, statementTimeoutMs: 300, applicationName: "starter" }),
    ),
  );
  const runs = await Promise.all(
    pools.map(async (pool) => {
      const { applied } = await migrate(pool, { migrations: [one, slow] });
      const [row] = await pool.query<{ there: boolean }>("SELECT to_regclass('slow') IS NOT NULL AS there");
      return { applied, there: row?.there };
    }),
  );
  expect(runs.flatMap(({ applied }) => applied).sort()).toEqual(["0001_one", "0002_slow"]);
  expect(runs.every(({ there }) => there === true)).toBe(true);
  await Promise.all(pools.map((pool) => pool.close()));
}, 30_000);

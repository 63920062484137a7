/** What PGlite's missing background processes would have done. */
import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { makeEngine } from "../../src/database/pglite/engine.ts";
import { maintain } from "../../src/database/pglite/maintenance.ts";
import { openPglite } from "../../src/database/pglite/open-pglite.ts";
import { makeTempDir } from "../support/temp-dir.ts";

test("dead rows are vacuumed, changed tables analysed, the log of writes cut, then nothing is left to do", async () => {
  const dataDir = await makeTempDir("maintenance");
  const sql = await openPglite({ dataDir, statementTimeoutMs: 10_000 });
  await sql.script(`CREATE TABLE "Odd name" (n int, filler text); CREATE TABLE small (n int)`);
  await sql.close();

  const pg = await PGlite.create(join(dataDir, "database"));
  const engine = makeEngine(pg, 60_000);
  expect(await maintain(engine)).toBeNull();
  await engine.statement(`INSERT INTO "Odd name" SELECT n, repeat('x', 100) FROM generate_series(1, 2000) n`, []);
  expect(await maintain(engine)).toBe(`ANALYZE public."Odd name"`);
  expect(await maintain(engine)).toBeNull();
  await engine.statement(`UPDATE "Odd name" SET n = n + 1`, []);
  expect(await maintain(engine)).toBe(`VACUUM (ANALYZE) public."Odd name"`);
  expect(await maintain(engine)).toBeNull();

  const written = "INSERT INTO small SELECT n FROM generate_series(1, 300000) n";
  for (let at = 0; at < 3; at += 1) await engine.statement(written, []);
  expect(await maintain(engine)).toBe("CHECKPOINT");
  expect(await maintain(engine)).toBe("ANALYZE public.small");
  await pg.close();
}, 60_000);

test("the log of writes stays small however much is written", async () => {
  const dataDir = await makeTempDir("wal");
  const sql = await openPglite({ dataDir, statementTimeoutMs: 10_000 });
  await sql.script("CREATE TABLE bulk (filler text)");
  for (let round = 0; round < 6; round += 1) {
    await sql.query("INSERT INTO bulk SELECT repeat('y', 1000) FROM generate_series(1, 20000)");
    await sql.script("CHECKPOINT");
  }
  await sql.close();
  const segments = (await readdir(join(dataDir, "database/pg_wal"))).filter((name) => /^[0-9A-F]{24}$/.test(name));
  expect(segments.length).toBeLessThanOrEqual(6);
}, 60_000);

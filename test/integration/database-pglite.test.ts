import { expect, test } from "bun:test";
import { openPglite } from "../../src/database/pglite/open-pglite.ts";
import type { RendiffError } from "../../src/errors.ts";
import { sqlContract } from "../contract/sql.contract.ts";
import { sqlSchemaContract } from "../contract/sql-schema.contract.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { within } from "../support/until.ts";

sqlContract("PGlite", async (statementTimeoutMs) =>
  openPglite({ dataDir: await makeTempDir("pglite"), statementTimeoutMs }),
);

sqlSchemaContract("PGlite", async () =>
  openPglite({ dataDir: await makeTempDir("pglite"), statementTimeoutMs: 5_000 }),
);

test("a statement outside of the transaction that waits for it is a mistake that ends in time", async () => {
  const sql = await openPglite({ dataDir: await makeTempDir("nested"), statementTimeoutMs: 200 });
  const nested = sql.transaction(async () => sql.query("SELECT 1"));
  const error = await within(nested, 5_000).catch((thrown: unknown) => thrown);
  expect((error as RendiffError).kind).toBe("database.timeout");
  expect(await sql.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  await sql.close();
}, 20_000);

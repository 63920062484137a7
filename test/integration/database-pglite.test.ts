import { openPglite } from "../../src/database/pglite/open-pglite.ts";
import { sqlContract } from "../contract/sql.contract.ts";
import { sqlSchemaContract } from "../contract/sql-schema.contract.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const statementTimeoutMs = 400;

sqlContract("PGlite", async () => ({
  statementTimeoutMs,
  sql: await openPglite({ dataDir: await makeTempDir("pglite"), statementTimeoutMs }),
}));

sqlSchemaContract("PGlite", async () =>
  openPglite({ dataDir: await makeTempDir("pglite"), statementTimeoutMs: 5_000 }),
);

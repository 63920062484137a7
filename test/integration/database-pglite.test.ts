import { openPglite } from "../../src/database/pglite/open-pglite.ts";
import { sqlContract } from "../contract/sql.contract.ts";
import { sqlSchemaContract } from "../contract/sql-schema.contract.ts";
import { makeTempDir } from "../support/temp-dir.ts";

sqlContract("PGlite", async (statementTimeoutMs) =>
  openPglite({ dataDir: await makeTempDir("pglite"), statementTimeoutMs }),
);

sqlSchemaContract("PGlite", async () =>
  openPglite({ dataDir: await makeTempDir("pglite"), statementTimeoutMs: 5_000 }),
);

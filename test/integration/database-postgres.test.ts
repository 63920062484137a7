import { openPostgres } from "../../src/database/postgres/open-postgres.ts";
import { sqlContract } from "../contract/sql.contract.ts";
import { sqlSchemaContract } from "../contract/sql-schema.contract.ts";
import { createDatabase } from "../support/postgres.ts";

sqlContract("Postgres", async (statementTimeoutMs) => {
  const { url } = await createDatabase();
  return openPostgres({ url, poolSize: 5, statementTimeoutMs, applicationName: "contract" });
});

sqlSchemaContract("Postgres", async () => {
  const { url } = await createDatabase();
  return openPostgres({ url, poolSize: 5, statementTimeoutMs: 5_000, applicationName: "schema" });
});

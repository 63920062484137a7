/** The database of a profile, migrated and ready. */
import type { Config } from "../config/config.ts";
import { migrate } from "../database/migrate.ts";
import { openPostgres } from "../database/postgres/open-postgres.ts";
import { withReplica } from "../database/replica.ts";
import type { Sql } from "../database/sql.ts";
import type { Logger } from "../telemetry/logger.ts";

/** Embedded: holds the lock of DATA_DIR until it is closed. Throws `database.unavailable` when it cannot be had. */
export async function openDatabase(config: Config, logger: Logger): Promise<Sql> {
  const { url, poolSize, statementTimeoutMs } = config.database;
  if (url === null) {
    // Not loaded where there is a Postgres: it is some megabytes.
    const { openPglite } = await import("../database/pglite/open-pglite.ts");
    return openPglite({ dataDir: config.process.dataDir, statementTimeoutMs, logger });
  }
  return openPostgres({ url, poolSize, statementTimeoutMs, applicationName: "rendiff", logger });
}

/** Where lists are read: the replica in front of the primary, or the primary itself, which is not closed with it. */
export function makeReadDatabase(config: Config, logger: Logger, primary: Sql): Sql {
  const { replicaUrl: url, poolSize, statementTimeoutMs } = config.database;
  if (url === null) return { ...primary, close: async () => {} };
  const options = { url, poolSize, statementTimeoutMs, applicationName: "rendiff-lists", logger };
  return withReplica(primary, { open: () => openPostgres(options), logger });
}

export async function openMigratedDatabase(config: Config, logger: Logger): Promise<Sql> {
  const sql = await openDatabase(config, logger);
  try {
    await migrate(sql, { logger });
    return sql;
  } catch (error) {
    await sql.close();
    throw error;
  }
}

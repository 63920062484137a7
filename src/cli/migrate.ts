import { openDatabase, openMigratedDatabase } from "../boot/database.ts";
import { pendingMigrations } from "../boot/migrations.ts";
import { configFor, loggerFor } from "./config.ts";
import { type CommandContext, CommandFailed, EXIT_FAILED } from "./context.ts";

export async function migrateCommand(context: CommandContext, options: { check?: boolean }): Promise<void> {
  const config = configFor();
  const logger = loggerFor(config);
  if (options.check !== true) {
    const sql = await openMigratedDatabase(config, logger);
    await sql.close();
    context.out("The database is up to date.");
    return;
  }
  const sql = await openDatabase(config, logger);
  try {
    const pending = await pendingMigrations(sql);
    if (pending.length === 0) {
      context.out("The database is up to date.");
      return;
    }
    context.out(`Pending: ${pending.join(", ")}`);
    throw new CommandFailed(EXIT_FAILED);
  } finally {
    await sql.close();
  }
}

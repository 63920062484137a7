/** For the command line, which knows no adapter. */
export { pendingMigrations } from "../database/migrate.ts";

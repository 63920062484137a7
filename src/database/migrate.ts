/**
 * Brings a database to the binary's schema: forward only, each migration in one transaction, under an advisory lock.
 *
 * A migration is one script: it takes the lock (for its transaction, so that a pooler does no harm), writes its own row,
 * and then does its work. Of several processes that start at once, one runs it; the others wait for the lock, fail on the
 * row, and go on with the next.
 *
 * Each migration works with the binary before it (expand, migrate, contract). So a database that is ahead of the binary
 * is accepted and reported; one whose history differs is refused.
 */
import { MIGRATIONS, type Migration } from "../../migrations/index.ts";
import { RendiffError } from "../errors.ts";
import type { DatabaseLogger } from "./logger.ts";
import { type Sql, SqlConflict } from "./sql.ts";

export interface MigrateOptions {
  readonly logger?: DatabaseLogger;
  /** The binary's own by default; tests bring theirs. */
  readonly migrations?: readonly Migration[];
}

export interface MigrationResult {
  /** Names, in order, of what this call applied. */
  readonly applied: string[];
  /** Names that the database has and the binary does not know: a newer binary was here. */
  readonly ahead: string[];
}

interface AppliedRow {
  readonly name: string;
  readonly sha256: string;
}

/** "rendiff" in ASCII, as far as 2^53 goes. */
const MIGRATION_LOCK_ID = 0x72_65_6e_64_69_66;
const NAME = /^\d{4}_[a-z0-9_]+$/;
const LOCK_SQL = `SELECT pg_advisory_xact_lock(${MIGRATION_LOCK_ID});`;

export async function migrate(sql: Sql, options: MigrateOptions = {}): Promise<MigrationResult> {
  const migrations = options.migrations ?? MIGRATIONS;
  // At nearly every start all is done: two statements say so, and nobody waits for a lock.
  const done = await appliedSoFar(sql);
  if (migrations.every((migration) => isAmong(done, migration))) return told(options, [], findAhead(migrations, done));
  await sql.script(`${LOCK_SQL}
    CREATE TABLE IF NOT EXISTS schema_migrations (
      name text PRIMARY KEY,
      sha256 text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    );`);
  const applied: string[] = [];
  for (const migration of migrations) {
    if (await applyUnlessDone(sql, migration)) {
      applied.push(migration.name);
      options.logger?.info({ migration: migration.name }, "Applied a migration");
    }
  }
  return told(options, applied, findAhead(migrations, await readApplied(sql)));
}

function told({ logger }: MigrateOptions, applied: string[], ahead: string[]): MigrationResult {
  if (ahead.length > 0) logger?.warn({ ahead }, "The database is ahead of this binary");
  return { applied, ahead };
}

/** Names, in order, that `migrate` would apply. Changes nothing; a database that was never migrated needs all. */
export async function pendingMigrations(
  sql: Sql,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<readonly string[]> {
  const done = new Set((await appliedSoFar(sql)).map(({ name }) => name));
  return migrations.map(({ name }) => name).filter((name) => !done.has(name));
}

const readApplied = (sql: Sql): Promise<AppliedRow[]> =>
  sql.query<AppliedRow>("SELECT name, sha256 FROM schema_migrations ORDER BY name");

/** None of a database that was never migrated. */
async function appliedSoFar(sql: Sql): Promise<AppliedRow[]> {
  const [found] = await sql.query<{ there: boolean }>("SELECT to_regclass('schema_migrations') IS NOT NULL AS there");
  return found?.there === true ? await readApplied(sql) : [];
}

const sha256Of = ({ text }: Migration): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");

/** Throws when it was applied with another text. */
function isAmong(applied: readonly AppliedRow[], migration: Migration): boolean {
  const row = applied.find(({ name }) => name === migration.name);
  if (row === undefined) return false;
  if (row.sha256 === sha256Of(migration)) return true;
  throw new RendiffError({
    kind: "internal",
    publicMessage: `The migration ${migration.name} was applied with another text than this binary has.`,
    hint: "Use the binary that made this database, or restore a backup; migrations are never edited.",
  });
}

/** False if it is there already, from before or from a process that was faster. */
async function applyUnlessDone(sql: Sql, migration: Migration): Promise<boolean> {
  const { name, text } = migration;
  if (!NAME.test(name)) throw new Error(`A migration is called NNNN_name, not ${name}.`);
  if (await isDone(sql, migration)) return false;
  try {
    await sql.script(`${LOCK_SQL}
      INSERT INTO schema_migrations (name, sha256) VALUES ('${name}', '${sha256Of(migration)}');
      ${text}`);
    return true;
  } catch (error) {
    const raced = error instanceof SqlConflict && error.constraint === "schema_migrations_pkey";
    if (raced && (await isDone(sql, migration))) return false;
    throw error;
  }
}

async function isDone(sql: Sql, migration: Migration): Promise<boolean> {
  const rows = await sql.query<AppliedRow>("SELECT name, sha256 FROM schema_migrations WHERE name = $1", [
    migration.name,
  ]);
  return isAmong(rows, migration);
}

function findAhead(migrations: readonly Migration[], applied: readonly AppliedRow[]): string[] {
  const known = new Set(migrations.map(({ name }) => name));
  return applied.map(({ name }) => name).filter((name) => !known.has(name));
}

/** Writes an archive: one snapshot of everything, whoever writes meanwhile. */
import type { Sql, SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";
import { eachRow, fixTextFormat, readSequences, readTables, type Sequence, tablesOf } from "./catalog.ts";
import {
  ARCHIVE_FORMAT,
  type ArchiveHeader,
  type ArchiveMigration,
  type ArchiveSummary,
  makeTally,
  type SequenceState,
  type TableEnd,
} from "./format.ts";

export interface KnownMigration {
  readonly name: string;
  readonly text: string;
}

export interface WriteOptions {
  readonly version: string;
  /** What this binary knows, in order. */
  readonly migrations: readonly KnownMigration[];
  /** Takes text; resolves when more may come. */
  write(text: string): Promise<void>;
}

async function readHistory(tx: SqlRunner): Promise<ArchiveMigration[]> {
  const [found] = await tx.query<{ there: boolean }>("SELECT to_regclass('schema_migrations') IS NOT NULL AS there");
  const rows = found?.there
    ? await tx.query<ArchiveMigration & object>('SELECT name, sha256 FROM schema_migrations ORDER BY name COLLATE "C"')
    : [];
  if (rows.length > 0) return rows;
  throw new RendiffError({ kind: "request.not_found", publicMessage: "There is nothing of Rendiff in this database." });
}

/** A table that only a newer binary knows would be left out without a word. */
function refuseNewer(history: readonly ArchiveMigration[], known: readonly KnownMigration[]): void {
  const unknown = history.filter(({ name }) => !known.some((migration) => migration.name === name));
  if (unknown.length === 0) return;
  throw new RendiffError({
    kind: "request.unsupported",
    publicMessage: `The database is newer than this program: ${unknown.map(({ name }) => name).join(", ")}.`,
    hint: "Export with the version that the database belongs to.",
  });
}

async function readSequence(tx: SqlRunner, { table, column, name }: Sequence): Promise<SequenceState> {
  const [row] = await tx.query<{ last: string; called: boolean }>(
    `SELECT last_value::text AS last, is_called AS called FROM ${name}`,
  );
  if (row === undefined) throw new Error(`The sequence ${name} has no state.`);
  return { table, column, ...row };
}

/**
 * Repeatable read: every table as of one moment. The embedded database is in use by nobody else, on Postgres others may go
 * on; what they commit later is not in the archive.
 */
export function writeArchive(sql: Sql, { version, migrations, write }: WriteOptions): Promise<ArchiveSummary> {
  const whole = makeTally();
  const line = (text: string): Promise<void> => {
    whole.add(text);
    return write(`${text}\n`);
  };
  return sql.transaction(async (tx) => {
    await tx.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    await fixTextFormat(tx);
    const history = await readHistory(tx);
    refuseNewer(history, migrations);
    const names = tablesOf(migrations.filter(({ name }) => history.some((applied) => applied.name === name)));
    const [clock] = await tx.query<{ now: Date }>("SELECT now() AS now");
    const header: ArchiveHeader = {
      rendiff_archive: ARCHIVE_FORMAT,
      ...{ version, engine: sql.engine, exported_at: clock?.now.toISOString() ?? "", migrations: history },
    };
    await line(JSON.stringify(header));
    const ends: TableEnd[] = [];
    for (const table of await readTables(tx, names)) {
      const columns = table.columns.map(({ name }) => name);
      await line(JSON.stringify({ table: table.name, columns }));
      const tally = makeTally();
      await eachRow(tx, table, columns, (row) => {
        tally.add(row);
        return line(row);
      });
      const end: TableEnd = { end: table.name, rows: tally.rows, sha256: tally.digest() };
      await line(JSON.stringify(end));
      ends.push(end);
    }
    const sequences = await readSequences(tx, names);
    await line(JSON.stringify({ sequences: await Promise.all(sequences.map((one) => readSequence(tx, one))) }));
    const rows = ends.reduce((sum, end) => sum + end.rows, 0);
    await write(`${JSON.stringify({ complete: true, tables: ends.length, rows, sha256: whole.digest() })}\n`);
    return { tables: ends, rows };
  });
}

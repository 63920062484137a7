/**
 * Brings an archive into an empty database: all of it, in one transaction, read back and compared before it counts.
 *
 * An archive of an older version finds the database brought to that version's schema first and to this program's
 * afterwards, so that what a migration does to rows is done to these too.
 */
import type { Sql, SqlRunner } from "../database/sql.ts";
import { RendiffError, toRendiffError } from "../errors.ts";
import {
  eachRow,
  fixTextFormat,
  quoted,
  readSequences,
  readTables,
  readTriggered,
  type Table,
  tablesOf,
} from "./catalog.ts";
import {
  type ArchiveHeader,
  type ArchiveRow,
  type ArchiveSummary,
  invalidArchive,
  makeTally,
  type SequenceState,
  type TableEnd,
} from "./format.ts";
import { type ArchivePart, openArchive } from "./read-archive.ts";
import type { KnownMigration } from "./write-archive.ts";

export interface ImportOptions {
  /** What this binary knows, in order. */
  readonly migrations: readonly KnownMigration[];
  /** Applies these, unless they were; a database may have others. */
  migrate(migrations: readonly KnownMigration[]): Promise<void>;
}

/** Tables into which a migration writes; a database that has no other row is empty. */
const SEEDED: readonly string[] = ["liveness"];

const conflict = (publicMessage: string, hint: string): RendiffError =>
  new RendiffError({ kind: "request.conflict", publicMessage, hint });

const EMPTY_HINT = "Import into a database that nothing has used yet: no server, no `rendiff keys`.";

/** Those of ours that the archive's database had, which must be all that it had, word for word. */
function migrationsOf(header: ArchiveHeader, known: readonly KnownMigration[]): readonly KnownMigration[] {
  const unknown = header.migrations.filter(({ name, sha256 }) => {
    const own = known.find((migration) => migration.name === name);
    return own === undefined || new Bun.CryptoHasher("sha256").update(own.text).digest("hex") !== sha256;
  });
  if (unknown.length > 0) {
    throw new RendiffError({
      kind: "request.unsupported",
      publicMessage: `The archive is of version ${header.version}, whose database this program does not know: ${unknown
        .map(({ name }) => name)
        .join(", ")}.`,
      hint: `Import with version ${header.version} or a later one.`,
    });
  }
  const wanted = known.filter(({ name }) => header.migrations.some((applied) => applied.name === name));
  // The others build on it: none of them could be applied to a database that is empty.
  if (wanted[0] !== known[0]) {
    throw invalidArchive(
      `The archive was damaged: it does not name the migration ${known[0]?.name}, which every one has.`,
    );
  }
  return wanted;
}

async function refuseMigratedFurther(sql: SqlRunner, wanted: readonly KnownMigration[]): Promise<void> {
  const applied = await sql.query<{ name: string }>("SELECT name FROM schema_migrations");
  const further = applied.filter(({ name }) => !wanted.some((migration) => migration.name === name));
  if (further.length === 0) return;
  throw conflict(
    `The database has migrations that the archive's had not: ${further.map(({ name }) => name).join(", ")}.`,
    "Import into a new database; `rendiff import` migrates it itself.",
  );
}

/** Nobody writes until the import is over, and nobody has before. */
async function claimEmpty(tx: SqlRunner, tables: readonly Table[]): Promise<void> {
  await tx.query(`LOCK TABLE ${tables.map(({ name }) => quoted(name)).join(", ")} IN EXCLUSIVE MODE`);
  for (const { name } of tables) {
    if (SEEDED.includes(name)) {
      await tx.query(`DELETE FROM ${quoted(name)}`);
      continue;
    }
    const [found] = await tx.query<{ used: boolean }>(`SELECT EXISTS (SELECT FROM ${quoted(name)}) AS used`);
    if (found?.used !== false) throw conflict(`The database is not empty: ${name} has rows.`, EMPTY_HINT);
  }
}

/** Where rows go. */
interface Target {
  readonly table: Table;
  readonly statement: string;
}

/** Each value by its type's own reader, from the text that its writer made. */
function insertStatement(table: Table, columns: readonly string[]): string {
  const typeOf = new Map(table.columns.map(({ name, type }) => [name, type]));
  const missing = columns.find((column) => !typeOf.has(column));
  if (missing !== undefined || columns.length !== typeOf.size) {
    throw invalidArchive(`The archive was damaged: the columns of ${table.name} are not those of its version.`);
  }
  const values = columns.map((column, at) => `(r.v ->> ${at})::${typeOf.get(column)}`);
  return `INSERT INTO ${quoted(table.name)} (${columns.map(quoted).join(", ")}) OVERRIDING SYSTEM VALUE
    SELECT ${values.join(", ")} FROM json_array_elements($1::json) AS r (v)`;
}

/** Rows are held against their checksum when the last has come: one that does not fit shows here first. */
async function insertRows(tx: SqlRunner, { table, statement }: Target, rows: readonly ArchiveRow[]): Promise<void> {
  try {
    await tx.query(statement, [JSON.stringify(rows)]);
  } catch (error) {
    const { kind } = toRendiffError(error);
    if (kind !== "database.conflict" && kind !== "internal") throw error;
    throw invalidArchive(`The archive was damaged: ${table.name} does not take its rows.`, error);
  }
}

async function setSequences(tx: SqlRunner, names: readonly string[], states: readonly SequenceState[]): Promise<void> {
  const sequences = await readSequences(tx, names);
  for (const { table, column, name } of sequences) {
    const state = states.find((one) => one.table === table && one.column === column);
    if (state === undefined) throw invalidArchive(`The archive was damaged: it does not say where ${table} goes on.`);
    await tx.query("SELECT setval($1::regclass, $2::bigint, $3)", [name, state.last, state.called]);
  }
}

/** Reads back what was written. A difference would be an error of this program, and undoes everything. */
async function verifyTable(tx: SqlRunner, table: Table, columns: readonly string[], end: TableEnd): Promise<void> {
  const tally = makeTally();
  await eachRow(tx, table, columns, (line) => tally.add(line));
  if (tally.rows === end.rows && tally.digest() === end.sha256) return;
  const cause = new Error(
    `${table.name}: ${tally.rows} rows of ${end.rows}, ${tally.digest()} instead of ${end.sha256}`,
  );
  throw new RendiffError({
    kind: "internal",
    publicMessage: `What was imported into ${table.name} is not what the archive has. Nothing was kept.`,
    cause,
  });
}

async function takeParts(
  tx: SqlRunner,
  parts: AsyncGenerator<ArchivePart>,
  tables: readonly Table[],
): Promise<ArchiveSummary> {
  const names = tables.map(({ name }) => name);
  const seen = new Map<string, readonly string[]>();
  let current: Target | null = null;
  let sequences: readonly SequenceState[] | null = null;
  for await (const part of parts) {
    if (part.part === "table") {
      const table = tables.find(({ name }) => name === part.table);
      if (table === undefined || seen.has(part.table)) {
        throw invalidArchive(`The archive was damaged: the table ${part.table} does not belong there.`);
      }
      seen.set(part.table, part.columns);
      current = { table, statement: insertStatement(table, part.columns) };
    }
    if (part.part === "rows" && current !== null) await insertRows(tx, current, part.rows);
    if (part.part === "end" && current !== null) {
      await verifyTable(tx, current.table, seen.get(current.table.name) ?? [], part.end);
    }
    if (part.part === "sequences") sequences = part.sequences;
    if (part.part !== "complete") continue;
    const missing = names.find((name) => !seen.has(name));
    if (missing !== undefined || sequences === null) {
      throw invalidArchive(`The archive was damaged: ${missing ?? "the state of its sequences"} is missing.`);
    }
    await setSequences(tx, names, sequences);
    return part.summary;
  }
  throw invalidArchive("The archive is not complete: its end is missing.");
}

/**
 * Throws `request.invalid` (not a whole archive), `request.unsupported` (of a version that this program does not know) or
 * `request.conflict` (the database was used already); whatever it throws, no row was kept.
 */
export async function importArchive(
  sql: Sql,
  chunks: AsyncIterable<Uint8Array>,
  { migrations, migrate }: ImportOptions,
): Promise<{ readonly header: ArchiveHeader; readonly summary: ArchiveSummary }> {
  const { header, parts } = await openArchive(chunks);
  const wanted = migrationsOf(header, migrations);
  await migrate(wanted);
  await refuseMigratedFurther(sql, wanted);
  const summary = await sql.transaction(async (tx) => {
    await fixTextFormat(tx);
    const tables = await readTables(tx, tablesOf(wanted));
    await claimEmpty(tx, tables);
    // What triggers write is in the archive already.
    const triggered = await readTriggered(
      tx,
      tables.map(({ name }) => name),
    );
    for (const name of triggered) await tx.query(`ALTER TABLE ${quoted(name)} DISABLE TRIGGER USER`);
    const taken = await takeParts(tx, parts, tables);
    for (const name of triggered) await tx.query(`ALTER TABLE ${quoted(name)} ENABLE TRIGGER USER`);
    return taken;
  });
  await migrate(migrations);
  // The planner has seen none of the rows; a claim must not sort a queue of thousands until it has.
  await sql.query("ANALYZE");
  return { header, summary };
}

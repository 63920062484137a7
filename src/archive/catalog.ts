/** What a database's own catalogue says of the tables to carry, so that a new table is carried without a line here. */
import type { SqlRunner } from "../database/sql.ts";
import { RendiffError } from "../errors.ts";

export interface Column {
  readonly name: string;
  /** As SQL writes it: `timestamp with time zone`, `text[]`. */
  readonly type: string;
}

export interface Table {
  readonly name: string;
  /** What an INSERT may name: generated columns come by themselves. */
  readonly columns: readonly Column[];
  /** ORDER BY of the primary key of `t`; texts by their bytes, since databases have collations of their own. */
  readonly order: string;
}

export interface Sequence {
  readonly table: string;
  readonly column: string;
  /** Qualified and quoted. */
  readonly name: string;
}

export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Kept by `migrate` alone: the archive's header has its rows. */
const HISTORY = "schema_migrations";

/** Names of the tables that these migrations leave: whatever else lies in the database is not ours to carry. */
export function tablesOf(migrations: readonly { readonly text: string }[]): readonly string[] {
  const names = new Set<string>();
  const statement =
    /^\s*(?:CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?(\w+)|DROP TABLE (?:IF EXISTS )?(\w+)|ALTER TABLE (\w+) RENAME TO (\w+))/gim;
  for (const [, created, dropped, from, to] of migrations.flatMap(({ text }) => [...text.matchAll(statement)])) {
    if (created !== undefined) names.add(created);
    if (dropped !== undefined) names.delete(dropped);
    if (from !== undefined && to !== undefined && names.delete(from)) names.add(to);
  }
  names.delete(HISTORY);
  return [...names].sort();
}

const COLUMNS = `SELECT c.relname::text AS "table", a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND c.relname = ANY ($1::text[])
    AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  ORDER BY c.relname COLLATE "C", a.attnum`;

const KEYS = `SELECT c.relname::text AS "table", a.attname::text AS name, a.attcollation <> 0 AS collated
  FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position)
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
  WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[])
  ORDER BY 1, k.position`;

const PARENTS = `SELECT child.relname::text AS "table", parent.relname::text AS parent
  FROM pg_constraint f JOIN pg_class child ON child.oid = f.conrelid JOIN pg_class parent ON parent.oid = f.confrelid
  WHERE f.contype = 'f' AND child.relnamespace = current_schema()::regnamespace AND child.relname = ANY ($1::text[])`;

const SEQUENCES = `SELECT c.relname::text AS "table", a.attname::text AS "column",
    s.relnamespace::regnamespace::text || '.' || quote_ident(s.relname) AS name
  FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    JOIN pg_class c ON c.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    AND c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[])
  ORDER BY c.relname COLLATE "C", a.attname COLLATE "C"`;

const TRIGGERED = `SELECT DISTINCT c.relname::text AS name FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[])`;

/** Parents before children. A table that refers to itself comes in the order of its key, which its rows have to bear. */
function inOrder(names: readonly string[], parentsOf: ReadonlyMap<string, readonly string[]>): string[] {
  const ordered: string[] = [];
  const visit = (name: string, path: readonly string[]): void => {
    if (ordered.includes(name) || path.includes(name)) return;
    for (const parent of parentsOf.get(name) ?? []) visit(parent, [...path, name]);
    ordered.push(name);
  };
  for (const name of names) visit(name, []);
  return ordered;
}

/** Throws `internal` when a table is not there: the history of migrations said that it is. */
export async function readTables(tx: SqlRunner, names: readonly string[]): Promise<Table[]> {
  const columns = await tx.query<{ table: string; name: string; type: string }>(COLUMNS, [names]);
  const keys = await tx.query<{ table: string; name: string; collated: boolean }>(KEYS, [names]);
  const parents = await tx.query<{ table: string; parent: string }>(PARENTS, [names]);
  const parentsOf = Map.groupBy(parents, ({ table }) => table);
  const ordered = inOrder(
    names,
    new Map([...parentsOf].map(([table, rows]) => [table, rows.map(({ parent }) => parent).sort()])),
  );
  return ordered.map((name) => {
    const own = columns.filter(({ table }) => table === name);
    const key = keys.filter(({ table }) => table === name);
    if (own.length === 0 || key.length === 0) {
      const cause = new Error(`The table ${name} is missing or has no primary key.`);
      throw new RendiffError({ kind: "internal", publicMessage: "The database lacks a table that it had.", cause });
    }
    const order = key.map((column) => `t.${quoted(column.name)}${column.collated ? ' COLLATE "C"' : ""}`).join(", ");
    return { name, columns: own.map(({ name: column, type }) => ({ name: column, type })), order };
  });
}

export const readSequences = (tx: SqlRunner, names: readonly string[]): Promise<Sequence[]> =>
  tx.query<Sequence & object>(SEQUENCES, [names]);

/** Tables with triggers of ours. */
export async function readTriggered(tx: SqlRunner, names: readonly string[]): Promise<readonly string[]> {
  return (await tx.query<{ name: string }>(TRIGGERED, [names])).map(({ name }) => name);
}

/** How values are printed: as both engines do when nobody has changed their settings. For the running transaction. */
export async function fixTextFormat(tx: SqlRunner): Promise<void> {
  for (const setting of [
    "DateStyle = 'ISO, YMD'",
    "TimeZone = 'UTC'",
    "IntervalStyle = 'postgres'",
    "bytea_output = 'hex'",
    "extra_float_digits = 1",
  ]) {
    await tx.query(`SET LOCAL ${setting}`);
  }
}

/** A few rows at a time: a row may hold a plan of a hundred kilobytes. */
const ROWS_AT_ONCE = 200;

/** Calls `each` with every row's line, in the order of the key. `columns`: in this order. */
export async function eachRow(
  tx: SqlRunner,
  table: Table,
  columns: readonly string[],
  each: (line: string) => void | Promise<void>,
): Promise<void> {
  // A name for each table: a prepared FETCH remembers the columns of its cursor.
  const cursor = quoted(`archive_${table.name}`);
  const values = columns.map((column) => `t.${quoted(column)}::text`).join(", ");
  await tx.query(
    `DECLARE ${cursor} NO SCROLL CURSOR FOR SELECT ${values} FROM ${quoted(table.name)} AS t ORDER BY ${table.order}`,
  );
  for (;;) {
    const rows = await tx.query<Record<string, string | null>>(`FETCH ${ROWS_AT_ONCE} FROM ${cursor}`);
    for (const row of rows) await each(JSON.stringify(columns.map((column) => row[column] ?? null)));
    if (rows.length < ROWS_AT_ONCE) break;
  }
  await tx.query(`CLOSE ${cursor}`);
}

/** Reads an archive and holds it to its own counts and checksums; whoever gets to `complete` has seen it whole. */
import { z } from "zod";
import {
  ARCHIVE_FORMAT,
  type ArchiveHeader,
  type ArchiveRow,
  type ArchiveSummary,
  invalidArchive,
  makeTally,
  type SequenceState,
  type TableEnd,
} from "./format.ts";
import { linesOf } from "./lines.ts";

const headerSchema = z.object({
  rendiff_archive: z.number(),
  version: z.string(),
  engine: z.string(),
  exported_at: z.string(),
  migrations: z.array(z.object({ name: z.string(), sha256: z.string() })),
});
const rowSchema = z.array(z.string().nullable());
const startSchema = z.object({ table: z.string(), columns: z.array(z.string()).min(1) });
const endSchema = z.object({ end: z.string(), rows: z.number(), sha256: z.string() });
const sequencesSchema = z.object({
  sequences: z.array(
    z.object({ table: z.string(), column: z.string(), last: z.string().regex(/^\d+$/), called: z.boolean() }),
  ),
});
const completeSchema = z.object({
  complete: z.literal(true),
  tables: z.number(),
  rows: z.number(),
  sha256: z.string(),
});

/** About as much as one INSERT should carry. */
const BATCH_CHARACTERS = 1_000_000;
const BATCH_ROWS = 1_000;

export type ArchivePart =
  | { readonly part: "table"; readonly table: string; readonly columns: readonly string[] }
  | { readonly part: "rows"; readonly rows: readonly ArchiveRow[] }
  | { readonly part: "end"; readonly end: TableEnd }
  | { readonly part: "sequences"; readonly sequences: readonly SequenceState[] }
  | { readonly part: "complete"; readonly summary: ArchiveSummary };

export interface OpenArchive {
  readonly header: ArchiveHeader;
  readonly parts: AsyncGenerator<ArchivePart>;
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch (cause) {
    throw invalidArchive("The file is no archive of Rendiff, or it was damaged.", cause);
  }
}

function shaped<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalidArchive("The archive was damaged: it has a line that does not belong there.", result.error);
}

/** Reads the first line; the rest comes with `parts`. Throws `request.invalid` for what is no whole archive. */
export async function openArchive(chunks: AsyncIterable<Uint8Array>): Promise<OpenArchive> {
  const lines = linesOf(chunks);
  const first = await lines.next();
  if (first.done === true) throw invalidArchive("The file is empty, or was cut off at its beginning.");
  const parsed = headerSchema.safeParse(parseLine(first.value));
  if (!parsed.success) throw invalidArchive("The file is no archive of Rendiff.", parsed.error);
  if (parsed.data.rendiff_archive !== ARCHIVE_FORMAT) {
    const { rendiff_archive: format, version } = parsed.data;
    throw invalidArchive(
      `The archive has format ${format}, written by version ${version}; this program reads ${ARCHIVE_FORMAT}.`,
    );
  }
  if (parsed.data.migrations.length === 0) {
    throw invalidArchive("The archive names no migrations, so nothing says what its tables are.");
  }
  return { header: parsed.data, parts: readParts(lines, first.value) };
}

async function* readParts(lines: AsyncGenerator<string>, header: string): AsyncGenerator<ArchivePart> {
  const whole = makeTally();
  whole.add(header);
  const next = async (): Promise<{ line: string; value: unknown }> => {
    const { done, value: line } = await lines.next();
    if (done === true) throw invalidArchive("The archive is not complete: its end is missing.");
    return { line, value: parseLine(line) };
  };
  const ends: TableEnd[] = [];
  for (;;) {
    const { line, value } = await next();
    const complete = completeSchema.safeParse(value);
    if (complete.success) {
      checkEnd(complete.data, ends, whole.digest());
      if ((await lines.next()).done !== true)
        throw invalidArchive("The archive was damaged: it goes on after its end.");
      yield { part: "complete", summary: { tables: ends, rows: complete.data.rows } };
      return;
    }
    whole.add(line);
    const sequences = sequencesSchema.safeParse(value);
    if (sequences.success) {
      yield { part: "sequences", sequences: sequences.data.sequences };
      continue;
    }
    const { table, columns } = shaped(startSchema, value);
    yield { part: "table", table, columns };
    const end = yield* readRows({ table, columns, next, whole });
    ends.push(end);
    yield { part: "end", end };
  }
}

interface RowsOfTable {
  readonly table: string;
  readonly columns: readonly string[];
  readonly next: () => Promise<{ line: string; value: unknown }>;
  readonly whole: { add(line: string): void };
}

/** Rows in batches, then the table's end, which they were held against. */
async function* readRows({ table, columns, next, whole }: RowsOfTable): AsyncGenerator<ArchivePart, TableEnd> {
  const tally = makeTally();
  let batch: ArchiveRow[] = [];
  let characters = 0;
  for (;;) {
    const { line, value } = await next();
    whole.add(line);
    if (Array.isArray(value)) {
      const row = shaped(rowSchema, value);
      if (row.length !== columns.length) throw invalidArchive(`The archive was damaged in the table ${table}.`);
      tally.add(line);
      batch.push(row);
      characters += line.length;
      if (batch.length < BATCH_ROWS && characters < BATCH_CHARACTERS) continue;
    }
    if (batch.length > 0) yield { part: "rows", rows: batch };
    batch = [];
    characters = 0;
    if (Array.isArray(value)) continue;
    const end = shaped(endSchema, value);
    if (end.end !== table || end.rows !== tally.rows || end.sha256 !== tally.digest()) {
      throw invalidArchive(`The archive was damaged: the rows of ${table} are not those that were written.`);
    }
    return end;
  }
}

function checkEnd(end: z.infer<typeof completeSchema>, ends: readonly TableEnd[], sha256: string): void {
  const rows = ends.reduce((sum, table) => sum + table.rows, 0);
  if (end.tables === ends.length && end.rows === rows && end.sha256 === sha256) return;
  throw invalidArchive("The archive was damaged: it is not what was written.");
}

/** Reads an archive to its end without a database. */
export async function checkArchive(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ readonly header: ArchiveHeader; readonly summary: ArchiveSummary }> {
  const { header, parts } = await openArchive(chunks);
  for await (const part of parts) if (part.part === "complete") return { header, summary: part.summary };
  throw invalidArchive("The archive is not complete: its end is missing.");
}

/**
 * An archive: everything a database of Rendiff holds, as text, one JSON value a line.
 *
 *     {"rendiff_archive":1,"version":"…","engine":"pglite","exported_at":"…","migrations":[{"name":"…","sha256":"…"}]}
 *     {"table":"api_keys","columns":["id","name",…]}
 *     ["0190…","first",…]                      a row: each value in Postgres's text format, or null
 *     {"end":"api_keys","rows":1,"sha256":"…"} of the rows' lines, each with its line feed
 *     …                                        parents before children
 *     {"sequences":[{"table":"audit_log","column":"seq","last":"7","called":true}]}
 *     {"complete":true,"tables":23,"rows":1042,"sha256":"…"} of every line before it
 *
 * Values are text because that is exact on both sides: numbers, microseconds and jsonb come back as they were. Rows are in
 * the order of their primary key, bytewise, so that the checksum of a table is the same whichever engine holds it.
 */
import { RendiffError } from "../errors.ts";

export const ARCHIVE_FORMAT = 1;

export interface ArchiveMigration {
  readonly name: string;
  readonly sha256: string;
}

export interface ArchiveHeader {
  readonly rendiff_archive: number;
  /** Of the program that wrote it. */
  readonly version: string;
  readonly engine: string;
  /** ISO 8601, the time of the snapshot. */
  readonly exported_at: string;
  readonly migrations: readonly ArchiveMigration[];
}

export interface TableStart {
  readonly table: string;
  readonly columns: readonly string[];
}

export type ArchiveRow = readonly (string | null)[];

export interface TableEnd {
  readonly end: string;
  readonly rows: number;
  readonly sha256: string;
}

export interface SequenceState {
  readonly table: string;
  readonly column: string;
  /** A bigint as text. */
  readonly last: string;
  /** Whether `last` was given out already. */
  readonly called: boolean;
}

export interface ArchiveEnd {
  readonly complete: true;
  readonly tables: number;
  readonly rows: number;
  readonly sha256: string;
}

/** What an archive came to, for people and scripts. */
export interface ArchiveSummary {
  readonly tables: readonly TableEnd[];
  readonly rows: number;
}

/** A line holds one row. Postgres itself takes no jsonb above 256 MB; an archive with more in a line is none of ours. */
export const LINE_BYTES_MAX = 512 * 1024 * 1024;

export function invalidArchive(sentence: string, cause?: unknown): RendiffError {
  return new RendiffError({
    kind: "request.invalid",
    publicMessage: sentence,
    hint: "Take another copy of the file, or export again.",
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Counts and hashes the lines of a table, or of the whole file. */
export interface Tally {
  add(line: string): void;
  readonly rows: number;
  digest(): string;
}

export function makeTally(): Tally {
  const hasher = new Bun.CryptoHasher("sha256");
  let rows = 0;
  return {
    add(line) {
      hasher.update(line);
      hasher.update("\n");
      rows += 1;
    },
    get rows() {
      return rows;
    },
    digest: () => hasher.digest("hex"),
  };
}

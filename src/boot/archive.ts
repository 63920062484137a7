/** Archives in files: which database, which file, and what is around both. */
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { constants, createZstdCompress, createZstdDecompress } from "node:zlib";
import { MIGRATIONS } from "../../migrations/index.ts";
import { type ArchiveHeader, type ArchiveSummary, invalidArchive } from "../archive/format.ts";
import { importArchive } from "../archive/import-archive.ts";
import { checkArchive } from "../archive/read-archive.ts";
import { writeArchive } from "../archive/write-archive.ts";
import type { Config } from "../config/config.ts";
import { migrate } from "../database/migrate.ts";
import { RendiffError } from "../errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { VERSION } from "../version.ts";
import { openDatabase } from "./database.ts";
import { alreadyThere, exists, nameOnce, sync } from "./new-file.ts";

/** Of a single statement: a table is sorted, or the statistics of a large database are made. */
const STATEMENT_TIMEOUT_MS = 600_000;
const BUFFER_CHARACTERS = 65_536;

export const STANDARD_STREAM = "-";

export interface ArchiveContents {
  readonly header: ArchiveHeader;
  readonly summary: ArchiveSummary;
}

const patient = (config: Config): Config => ({
  ...config,
  database: { ...config.database, statementTimeoutMs: STATEMENT_TIMEOUT_MS },
});

/** Text in, a compressed stream out, at the pace of whoever takes it. */
function makeWriter(to: NodeJS.WritableStream) {
  const zstd = createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } });
  const written = pipeline(zstd, to);
  written.catch(() => {});
  let buffered = "";
  const push = async (): Promise<void> => {
    const text = buffered;
    buffered = "";
    if (text === "" || zstd.write(text)) return;
    await Promise.race([once(zstd, "drain"), written]);
  };
  return {
    write: async (text: string): Promise<void> => {
      buffered += text;
      if (buffered.length >= BUFFER_CHARACTERS) await push();
    },
    end: async (): Promise<void> => {
      await push();
      zstd.end();
      await written;
    },
    destroy: (): void => void zstd.destroy(),
  };
}

async function writeTo(config: Config, logger: Logger, to: NodeJS.WritableStream): Promise<ArchiveSummary> {
  const writer = makeWriter(to);
  const sql = await openDatabase(patient(config), logger);
  try {
    const summary = await writeArchive(sql, { version: VERSION, migrations: MIGRATIONS, write: writer.write });
    await writer.end();
    return summary;
  } catch (error) {
    writer.destroy();
    throw error;
  } finally {
    await sql.close();
  }
}

/** The file appears whole or not at all, readable by its owner alone: it holds what the database holds, secrets too. */
async function writeFile(config: Config, logger: Logger, path: string): Promise<ArchiveSummary> {
  if (await exists(path)) throw alreadyThere(path);
  const unfinished = `${path}.unfinished-${process.pid}`;
  try {
    const summary = await writeTo(config, logger, createWriteStream(unfinished, { mode: 0o600 }));
    await sync(unfinished, "r+");
    await nameOnce(unfinished, path);
    return summary;
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

/** `path` may be `-`, which is the standard output. Changes nothing in the database, and makes none. */
export async function exportDatabase(config: Config, logger: Logger, path: string): Promise<ArchiveSummary> {
  const { dataDir } = config.process;
  if (config.database.url === null && !(await exists(join(dataDir, "database", "PG_VERSION")))) {
    throw new RendiffError({
      kind: "request.not_found",
      publicMessage: "There is no embedded database in DATA_DIR, and DATABASE_URL names no other.",
    });
  }
  if (path === STANDARD_STREAM) return writeTo(config, logger, process.stdout);
  return writeFile(config, logger, path);
}

/** The bytes of an archive, decompressed. Whatever is wrong with the file is `request.invalid`. */
async function* readFrom(path: string): AsyncGenerator<Uint8Array> {
  if (path !== STANDARD_STREAM && !(await exists(path))) {
    throw new RendiffError({ kind: "request.not_found", publicMessage: `There is no file ${path}.` });
  }
  const source = path === STANDARD_STREAM ? process.stdin : createReadStream(path);
  const zstd = createZstdDecompress();
  const read = pipeline(source, zstd);
  read.catch(() => {});
  try {
    for await (const chunk of zstd) yield chunk as Uint8Array;
    await read;
  } catch (cause) {
    if (cause instanceof RendiffError) throw cause;
    throw invalidArchive("The archive cannot be read: it is not complete, damaged, or none of Rendiff's.", cause);
  } finally {
    zstd.destroy();
  }
}

export const checkArchiveFile = (path: string): Promise<ArchiveContents> => checkArchive(readFrom(path));

export async function importDatabase(config: Config, logger: Logger, path: string): Promise<ArchiveContents> {
  const sql = await openDatabase(patient(config), logger);
  try {
    return await importArchive(sql, readFrom(path), {
      migrations: MIGRATIONS,
      migrate: async (migrations) => void (await migrate(sql, { migrations, logger })),
    });
  } finally {
    await sql.close();
  }
}

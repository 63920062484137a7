/**
 * Who owns the data folder. Two processes on one PGlite folder lose data silently, so the owner holds an operating-system
 * lock that ends with its process, however that ends.
 *
 * The lock is the one SQLite (built into Bun) takes on an empty file: fcntl record locks on Linux and macOS, which
 * children do not inherit, so that an FFmpeg that outlives us cannot hold the folder. flock through bun:ffi would do the
 * same with a compiler at run time and a table of libc names; a file with a process id in it outlives `kill -9`.
 */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { RendiffError } from "../../errors.ts";

const LOCK_FILE = "database.lock";

export interface FolderLock {
  release(): void;
}

/** Takes the lock or throws at once. `dataDir` must exist. */
export function lockFolder(dataDir: string): FolderLock {
  const path = join(dataDir, LOCK_FILE);
  const file = new Database(path, { create: true });
  try {
    file.run("PRAGMA busy_timeout = 0");
    file.run("BEGIN EXCLUSIVE");
  } catch (cause) {
    file.close();
    if (!String((cause as { code?: unknown }).code).startsWith("SQLITE_BUSY")) throw cause;
    throw new RendiffError({
      kind: "database.unavailable",
      publicMessage: "Another process is using the embedded database in DATA_DIR.",
      hint: "Stop the other Rendiff, or give this one a DATA_DIR of its own.",
      cause: new Error(`${path} is locked by another process.`, { cause }),
    });
  }
  return {
    release: () => file.close(),
  };
}

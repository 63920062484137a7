/**
 * Where attempts work: one folder per attempt below TEMP_STORAGE, named by the job and the fencing token, mode 0700, with
 * `in/` and `out/`. Two attempts never share one, so a late attempt of a lost lease cannot touch its successor's files.
 */
import { type Dirent, mkdirSync } from "node:fs";
import { lstat, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Lease } from "../jobs/types.ts";
import { toResourceError } from "./errors.ts";
import { makeSpace, type Reservation, type Space } from "./space.ts";

/** Whose folder it is. */
export type AttemptId = Pick<Lease, "jobId" | "leaseToken">;

export interface WorkFoldersOptions {
  /** Absolute; made when it is missing. */
  readonly tempDir: string;
  /** What all folders together may hold. */
  readonly tempLimitBytes: number;
  /** Where others take room from the same folder; one of its own when absent. */
  readonly space?: Space;
}

export interface WorkFolders {
  readonly tempDir: string;
  /** Where the attempt's folder is or would be. Absolute. */
  path(attempt: AttemptId): string;
  /** Makes the folder, empty: what an interrupted call left there is removed first. Resolves to its absolute path. */
  create(attempt: AttemptId): Promise<string>;
  /** Removes the folder with all it holds. Idempotent. */
  remove(attempt: AttemptId): Promise<void>;
  /**
   * Removes the folders of attempts that nobody runs: all but those of `held` and those made by this process. `held` is
   * asked after the folders were listed, and has to answer with every attempt that is processing anywhere: so an attempt
   * that begins meanwhile is either not listed or in the answer. Scratch folders go when they are older than any look at
   * an input lasts. What is named like neither is left alone. Resolves to the names of what was removed.
   */
  sweep(held: () => Promise<readonly AttemptId[]>): Promise<readonly string[]>;
  /**
   * Sets `bytes` of the disk and of TEMP_LIMIT aside for an attempt, on top of what it has reserved before; null when
   * that much is not free now. What the attempt's folder holds already counts as a part of its reservations. Rejects with
   * `resource.disk` (never retried) when not even an empty folder could hold it.
   */
  reserve(attempt: AttemptId, bytes: number): Promise<Reservation | null>;
}

const FOLDER_NAME = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.\d{1,19}$/;

/** Before what `mkdtemp` adds: a folder in which an input is looked at without an attempt. */
export const SCRATCH_PREFIX = "probe-";
const SCRATCH_NAME = /^probe-[A-Za-z0-9]{6}$/;
const SCRATCH_AGE_MS_MAX = 3_600_000;

export function folderName({ jobId, leaseToken }: AttemptId): string {
  const name = `${jobId}.${leaseToken}`;
  // The name becomes a path that is removed recursively.
  if (!FOLDER_NAME.test(name)) throw new Error(`No attempt is named ${JSON.stringify(name)}.`);
  return name;
}

/** Left by a process that was killed while it looked: nobody else knows of them. */
async function abandonedScratch(tempDir: string, entries: readonly Dirent[]): Promise<string[]> {
  const before = Date.now() - SCRATCH_AGE_MS_MAX;
  const found: string[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory() || !SCRATCH_NAME.test(entry.name)) continue;
    const stat = await lstat(join(tempDir, entry.name)).catch(() => null);
    if (stat !== null && stat.mtimeMs < before) found.push(entry.name);
  }
  return found;
}

/** False when something is there already. */
function makeNew(folder: string): boolean {
  try {
    mkdirSync(folder, { mode: 0o700 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

export async function makeWorkFolders({ tempDir, tempLimitBytes, space }: WorkFoldersOptions): Promise<WorkFolders> {
  await mkdir(tempDir, { recursive: true, mode: 0o700 });
  const live = new Set<string>();
  const path = (attempt: AttemptId): string => join(tempDir, folderName(attempt));
  const room = space ?? makeSpace({ tempDir, limitBytes: tempLimitBytes });

  /** Made at once: three names on the machine's own disk are there sooner than a turn is waited for. */
  async function create(attempt: AttemptId): Promise<string> {
    const folder = path(attempt);
    live.add(folderName(attempt));
    try {
      if (!makeNew(folder)) {
        await rm(folder, { recursive: true, force: true });
        mkdirSync(folder, { mode: 0o700 });
      }
      for (const name of ["in", "out"]) mkdirSync(join(folder, name), { mode: 0o700 });
      return folder;
    } catch (error) {
      throw toResourceError(error);
    }
  }

  async function remove(attempt: AttemptId): Promise<void> {
    await rm(path(attempt), { recursive: true, force: true, maxRetries: 3 });
    live.delete(folderName(attempt));
  }

  async function sweep(held: () => Promise<readonly AttemptId[]>): Promise<readonly string[]> {
    const entries = await readdir(tempDir, { withFileTypes: true });
    const listed = entries.filter((entry) => entry.isDirectory() && FOLDER_NAME.test(entry.name));
    const kept = new Set((await held()).map(folderName));
    const removed: string[] = [];
    const abandoned = await abandonedScratch(tempDir, entries);
    for (const name of [...listed.map((entry) => entry.name), ...abandoned]) {
      if (kept.has(name) || live.has(name)) continue;
      await rm(join(tempDir, name), { recursive: true, force: true, maxRetries: 3 });
      removed.push(name);
    }
    return removed;
  }

  return {
    tempDir,
    path,
    create,
    remove,
    sweep,
    reserve: (attempt, bytes) => room.reserve(folderName(attempt), bytes),
  };
}

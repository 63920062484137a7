/**
 * Disk space set aside before a job starts, so that jobs that run together cannot fill the disk under each other.
 *
 * A reservation is used up as its folder grows: what lies in the folder has left the free space already and must not be
 * counted twice. So what others may still write is, attempt by attempt, its reservations less its folder's size.
 * `free` is what the disk has left for us now, whoever else uses it.
 */
import { lstatSync, readdirSync } from "node:fs";
import { lstat, readdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { RendiffError } from "../errors.ts";

export interface Reservation {
  readonly bytes: number;
  /** Idempotent. */
  release(): void;
}

export interface DiskState {
  readonly freeBytes: number;
  /** Of the whole disk. */
  readonly sizeBytes: number;
}

export interface SpaceOptions {
  /** Absolute. */
  readonly tempDir: string;
  readonly limitBytes: number;
  /** The disk of `tempDir`; for tests. */
  readonly disk?: () => Promise<DiskState>;
}

export interface Space {
  reserve(folder: string, bytes: number): Promise<Reservation | null>;
}

/** `stat` counts blocks of this size on every system. */
const BLOCK_BYTES = 512;

/** What a file or a folder and all below it take on the disk; what vanishes meanwhile takes nothing. */
export async function diskUsage(path: string): Promise<number> {
  const stat = await lstat(path).catch(() => null);
  if (stat === null) return 0;
  const own = stat.blocks * BLOCK_BYTES;
  if (!stat.isDirectory()) return own;
  const names = await readdir(path).catch(() => []);
  const below = await Promise.all(names.map((name) => diskUsage(join(path, name))));
  return below.reduce((sum, bytes) => sum + bytes, own);
}

/** So many names are looked at in less time than a look at one of them takes that waits for its turn. */
const NAMES_AT_ONCE = 48;

/** `usageByFolder` where there is little to look at; null where there is more, or something vanishes meanwhile. */
function smallUsage(tempDir: string): ReadonlyMap<string, number> | null {
  let names = 0;
  const usage = (path: string): number => {
    names += 1;
    if (names > NAMES_AT_ONCE) throw new RangeError("There are many.");
    const stat = lstatSync(path);
    const own = stat.blocks * BLOCK_BYTES;
    if (!stat.isDirectory()) return own;
    return readdirSync(path).reduce((sum, name) => sum + usage(join(path, name)), own);
  };
  try {
    return new Map(readdirSync(tempDir).map((name) => [name, usage(join(tempDir, name))]));
  } catch {
    return null;
  }
}

/** By name of folder below `tempDir`; leftovers of other processes as well. */
async function usageByFolder(tempDir: string): Promise<ReadonlyMap<string, number>> {
  const small = smallUsage(tempDir);
  if (small !== null) return small;
  const names = await readdir(tempDir).catch(() => []);
  const sizes = await Promise.all(names.map((name) => diskUsage(join(tempDir, name))));
  return new Map(names.map((name, index) => [name, sizes[index] ?? 0]));
}

async function diskOf(path: string): Promise<DiskState> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { freeBytes: bavail * bsize, sizeBytes: blocks * bsize };
}

export function makeSpace({ tempDir, limitBytes, disk = () => diskOf(tempDir) }: SpaceOptions): Space {
  const reserved = new Map<string, number>();

  const add = (folder: string, bytes: number): void => {
    const sum = (reserved.get(folder) ?? 0) + bytes;
    if (sum > 0) reserved.set(folder, sum);
    else reserved.delete(folder);
  };

  function fits(bytes: number, usage: ReadonlyMap<string, number>, { freeBytes }: DiskState): boolean {
    let used = 0;
    for (const size of usage.values()) used += size;
    let toCome = bytes;
    for (const [folder, sum] of reserved) toCome += Math.max(0, sum - (usage.get(folder) ?? 0));
    return toCome <= freeBytes && used + toCome <= limitBytes;
  }

  async function reserve(folder: string, bytes: number): Promise<Reservation | null> {
    // In this order: what is written in between is counted twice, never not at all.
    const usage = await usageByFolder(tempDir);
    const state = await disk();
    if (bytes > Math.min(limitBytes, state.sizeBytes)) {
      throw new RendiffError({
        kind: "resource.disk",
        publicMessage: "The job needs more disk space than a worker may use.",
        hint: "Make the outputs shorter, smaller or fewer, or ask the operator for a larger TEMP_LIMIT.",
      });
    }
    // From the look to the entry nothing is awaited: two calls cannot both be given the last bytes.
    if (!fits(bytes, usage, state)) return null;
    add(folder, bytes);
    let released = false;
    return {
      bytes,
      release() {
        if (!released) add(folder, -bytes);
        released = true;
      },
    };
  }

  return { reserve };
}

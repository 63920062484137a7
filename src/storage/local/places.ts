/**
 * From a key to a place below the root, and never beyond it.
 *
 * A key cannot say `..`, so only a symbolic link could lead out. For reading, the resolved path must lie in the root, the
 * file is opened without following a link, and on Linux the descriptor is asked where it really is, so that a folder
 * swapped for a link in between is noticed. For writing, the resolved parent must lie in the root, and the last step
 * (rename, link, unlink) acts on the name itself, whatever it is.
 */
import type { BigIntStats } from "node:fs";
import { constants, type FileHandle, lstat, mkdir, open, readlink, realpath } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";
import { RendiffError } from "../../errors.ts";
import { problemOfKey } from "../key.ts";
import { codeOf, named, unlessAbsent } from "./errors.ts";

const DESCRIPTORS = process.platform === "linux" ? "/proc/self/fd" : null;

/** At a link's target, while it is being replaced. */
const LOOKS = 5;

const escapes = (key: string): RendiffError =>
  new RendiffError({ kind: "storage.denied", publicMessage: `${named(key)} leads out of the storage folder.` });

const notAFile = (key: string, what: string): RendiffError =>
  new RendiffError({ kind: "input.unreadable", publicMessage: `${named(key)} is ${what}, not a file.` });

/** Keys come from `parseStorageUri` and from rows; neither is trusted here. */
export function checkKey(key: string): void {
  const problem = problemOfKey(key);
  if (problem !== null) {
    throw new RendiffError({ kind: "request.invalid", publicMessage: `The storage path ${problem}.` });
  }
}

export interface Found {
  /** Absolute. */
  readonly path: string;
  readonly stat: BigIntStats;
}

const look = (path: string): Promise<BigIntStats | null> => unlessAbsent(lstat(path, { bigint: true }));

export interface Places {
  /** Absolute, symlinks resolved. */
  readonly root: string;
  /** The regular file that holds the object, symlinks resolved, as it is; null when there is nothing. */
  resolve(key: string): Promise<Found | null>;
  /** The same, opened for reading. The caller closes it. */
  openFile(key: string): Promise<FileHandle | null>;
  /** The real folder that holds, or would hold, `key`; null when it does not exist. */
  parent(key: string): Promise<string | null>;
  /** Makes the folders above `key`; says how many were missing, so that they can be removed again. */
  makeParent(key: string): Promise<{ folder: string; made: number }>;
}

export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } catch (error) {
    // Some network file systems cannot do it; they are durable, or not, on their own terms.
    if (codeOf(error) !== "EINVAL") throw error;
  } finally {
    await handle.close();
  }
}

function kindOf(stat: { isDirectory(): boolean; isFile(): boolean }): string | null {
  if (stat.isFile()) return null;
  return stat.isDirectory() ? "a folder" : "a device, pipe or socket";
}

async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

class FolderPlaces implements Places {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  async resolve(key: string): Promise<Found | null> {
    const folder = await this.parent(key);
    if (folder === null) return null;
    // The name itself is looked at, and resolved only if it is a link: a file that is replaced while its path is resolved
    // seems to be gone (Linux then calls it "(deleted)").
    const name = join(folder, basename(key));
    const there = await look(name);
    const found = there?.isSymbolicLink() === true ? await this.#follow(name, key) : { path: name, stat: there };
    if (found === null || found.stat === null || found.stat.isSymbolicLink()) return null;
    const { path, stat } = found;
    const kind = kindOf(stat);
    if (kind !== null) throw notAFile(key, kind);
    return { path, stat };
  }

  async openFile(key: string): Promise<FileHandle | null> {
    const found = await this.resolve(key);
    if (found === null) return null;
    // Without O_NONBLOCK a pipe that took the file's place would hold the call for ever.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const handle = await unlessAbsent(open(found.path, flags));
    if (handle === null) return null;
    try {
      await this.#check(handle, key);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async parent(key: string): Promise<string | null> {
    checkKey(key);
    const folder = await unlessAbsent(realpath(dirname(join(this.root, key))));
    if (folder !== null && !this.#holds(folder)) throw escapes(key);
    return folder;
  }

  async makeParent(key: string): Promise<{ folder: string; made: number }> {
    checkKey(key);
    let folder = this.root;
    let made = 0;
    for (const name of key.split("/").slice(0, -1)) {
      const path = join(folder, name);
      const isNew = await makeFolder(path);
      // Before anything is made below it: a link here may lead out.
      const real = await realpath(path);
      if (!this.#holds(real)) throw escapes(key);
      if (isNew) await syncFolder(folder);
      made = isNew ? made + 1 : 0;
      folder = real;
    }
    return { folder, made };
  }

  #holds(path: string): boolean {
    return path === this.root || path.startsWith(this.root === sep ? sep : this.root + sep);
  }

  /** Where a symbolic link leads in the end; null when that is nowhere. */
  async #follow(link: string, key: string): Promise<Found | null> {
    for (let tries = LOOKS; tries > 0; tries--) {
      const path = await unlessAbsent(realpath(link));
      if (path === null) return null;
      if (!this.#holds(path)) throw escapes(key);
      const stat = await look(path);
      if (stat !== null) return { path, stat };
    }
    return null;
  }

  async #check(handle: FileHandle, key: string): Promise<void> {
    const kind = kindOf(await handle.stat());
    if (kind !== null) throw notAFile(key, kind);
    if (DESCRIPTORS === null) return;
    if (!this.#holds(await readlink(join(DESCRIPTORS, String(handle.fd))))) throw escapes(key);
  }
}

/** `root` is made when it is missing. */
export async function openPlaces(root: string): Promise<Places> {
  await mkdir(root, { recursive: true });
  return new FolderPlaces(await realpath(root));
}

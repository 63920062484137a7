/**
 * Storage in a folder of this machine.
 *
 * The bytes of an output are written to a hidden file beside their destination and made visible by one `rename` (or, where
 * nothing may be replaced, by one `link`). Both keep inode, size and modification time, so the staged file's identity is
 * the published object's: whoever comes after a crash sees by looking whether it was published. Files and their folders
 * are synced before a step counts as done.
 */
import type { BigIntStats } from "node:fs";
import { link, lstat, rename, rmdir, statfs, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { RendiffError } from "../../errors.ts";
import type {
  BackendProperties,
  CopyOptions,
  CopySource,
  FillOptions,
  ObjectStat,
  OpenOptions,
  PreparedFile,
  PublishOutcome,
  SettledState,
  StagedBytes,
  StagedObject,
  StorageBackend,
} from "../port.ts";
import { codeOf, named, translated, unlessAbsent } from "./errors.ts";
import { listFiles } from "./list.ts";
import { openPlaces, type Places, syncFolder } from "./places.ts";
import { changed, streamOf } from "./read.ts";
import { createStaging, fromHandle, type Owner, stagingPath, toHandle } from "./staging.ts";
import { identityOf, toObjectStat } from "./stat.ts";
import { duplicateFile, prepareFile, transferFile } from "./transfer.ts";

export interface LocalBackendOptions {
  readonly name: string;
  /** Absolute; made when it is missing. */
  readonly root: string;
  /** What jobs may do there; both by default. */
  readonly readable?: boolean;
  readonly writable?: boolean;
}

const PROPERTIES: Omit<BackendProperties, "readable" | "writable"> = {
  type: "local",
  publishing: "rename",
  // A file is unlinked by its name: between the look and the deed another may take the name.
  conditionalDelete: false,
  conditionalPublish: true,
  findsStaging: true,
  inPlace: true,
};

const absent = (key: string): RendiffError =>
  new RendiffError({ kind: "input.not_found", publicMessage: `There is no file ${named(key)}.` });

const folderInTheWay = (key: string): RendiffError =>
  new RendiffError({ kind: "output.conflict", publicMessage: `${named(key)} is a folder: name a file in it.` });

const look = (path: string): Promise<BigIntStats | null> => unlessAbsent(lstat(path, { bigint: true }));

/** Absolute paths of a staged object's file and of its destination. */
interface Stand {
  readonly staged: string;
  readonly destination: string;
}

class LocalBackend implements StorageBackend {
  readonly name: string;
  readonly properties: BackendProperties;
  readonly #places: Places;

  constructor({ name, readable = true, writable = true }: LocalBackendOptions, places: Places) {
    this.name = name;
    this.properties = { ...PROPERTIES, readable, writable };
    this.#places = places;
  }

  stat(key: string): Promise<ObjectStat | null> {
    return translated(key, async () => {
      const found = await this.#places.resolve(key);
      return found === null ? null : toObjectStat(found.stat);
    });
  }

  open(key: string, options: OpenOptions = {}): Promise<{ stat: ObjectStat; stream: ReadableStream<Uint8Array> }> {
    return translated(key, async () => {
      options.signal?.throwIfAborted();
      const handle = await this.#places.openFile(key);
      if (handle === null) throw absent(key);
      return await streamOf(handle, key, options);
    });
  }

  localPath(key: string): Promise<string | null> {
    return translated(key, async () => {
      const found = await this.#places.resolve(key);
      if (found === null) throw absent(key);
      return found.path;
    });
  }

  stage(key: string, owner: Owner, signal?: AbortSignal): Promise<StagedObject> {
    return translated(key, async () => {
      signal?.throwIfAborted();
      const { folder, staging } = await createStaging(this.#places, key, owner);
      const { jobId, leaseToken } = owner;
      const staged = { backend: this.name, key, jobId, leaseToken, handle: toHandle(staging) };
      if ((await look(join(folder, basename(key))))?.isDirectory() !== true) return staged;
      await this.abort(staged);
      throw folderInTheWay(key);
    });
  }

  prepare(filePath: string, signal?: AbortSignal): Promise<PreparedFile | null> {
    return translated(basename(filePath), () => prepareFile(filePath, this.#places.root, signal));
  }

  fill(staged: StagedObject, filePath: string, options: FillOptions): Promise<StagedBytes> {
    return translated(staged.key, async () => {
      const stand = await this.#stand(staged);
      if (stand === null) throw absent(staged.key);
      const { signal, prepared, onBytes = () => {} } = options;
      const result = await transferFile({ from: filePath, to: stand.staged, signal, prepared, onBytes });
      const stat = await lstat(stand.staged, { bigint: true });
      return { ...staged, ...result, fingerprint: identityOf(stat) };
    });
  }

  fillFrom(staged: StagedObject, source: CopySource, { signal }: CopyOptions): Promise<StagedBytes> {
    return translated(staged.key, async () => {
      const [stand, found] = [await this.#stand(staged), await this.#places.resolve(source.key)];
      if (stand === null) throw absent(staged.key);
      const from = found === null ? null : await this.#places.openFile(source.key);
      if (found === null || from === null) throw changed(source.key);
      try {
        if (identityOf(await from.stat({ bigint: true })) !== source.identity) throw changed(source.key);
        const result = await duplicateFile({ from, fromPath: found.path, to: stand.staged, signal });
        if (result.sha256 !== source.sha256) throw changed(source.key);
        return { ...staged, ...result, fingerprint: identityOf(await lstat(stand.staged, { bigint: true })) };
      } finally {
        await from.close();
      }
    });
  }

  publish(staged: StagedBytes, { ifAbsent, signal }: { ifAbsent: boolean; signal?: AbortSignal }) {
    return translated(staged.key, async (): Promise<PublishOutcome> => {
      signal?.throwIfAborted();
      const stand = await this.#stand(staged);
      if (stand === null) return { outcome: "lost" };
      const before = await this.settle(staged);
      const taken =
        before.state === "staged" && !(await (ifAbsent ? linkUnlessTaken(stand) : replace(stand, staged.key)));
      // Looked at once more: a predecessor that was only slow may have done the same meanwhile, or been rolled forward.
      const after = await this.settle(staged);
      if (after.state !== "published") return { outcome: taken && after.state === "staged" ? "exists" : "lost" };
      // A link leaves the staged name; so does a rename onto another name of the same file.
      await unlessAbsent(unlink(stand.staged));
      await syncFolder(dirname(stand.destination));
      return { outcome: "published", identity: staged.fingerprint };
    });
  }

  settle(staged: StagedBytes): Promise<SettledState> {
    return translated(staged.key, async (): Promise<SettledState> => {
      const stand = await this.#stand(staged);
      if (stand === null) return { state: "lost" };
      // The staged file first: had it been looked for second, a publish in between would show in neither place.
      const source = await look(stand.staged);
      const destination = await look(stand.destination);
      const is = (stat: BigIntStats | null) => stat?.isFile() === true && identityOf(stat) === staged.fingerprint;
      if (is(destination)) return { state: "published", identity: staged.fingerprint };
      return { state: is(source) ? "staged" : "lost" };
    });
  }

  abort(staged: StagedObject): Promise<void> {
    return translated(staged.key, async () => {
      const staging = fromHandle(staged);
      let folder = await this.#places.parent(staged.key);
      if (folder === null) return;
      await unlessAbsent(unlink(join(folder, basename(staging.key))));
      // Only folders that were made for it, and only while they are empty.
      for (let left = staging.madeFolders; left > 0 && folder !== this.#places.root; left--) {
        if (!(await removeIfEmpty(folder))) return;
        folder = dirname(folder);
      }
    });
  }

  delete(key: string, identity: string): Promise<boolean> {
    return translated(key, async () => {
      const folder = await this.#places.parent(key);
      const path = folder === null ? null : join(folder, basename(key));
      const stat = path === null ? null : await look(path);
      if (path === null || stat?.isFile() !== true || identityOf(stat) !== identity) return false;
      await unlink(path);
      await syncFolder(dirname(path));
      return true;
    });
  }

  list(prefix: string, limit: number, after?: string): Promise<readonly { key: string; stat: ObjectStat }[]> {
    return translated(prefix, () => listFiles(this.#places.root, { prefix, limit, after: after ?? "" }));
  }

  /** Nobody serves the folder but this service. */
  async presign(): Promise<null> {
    return null;
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await translated("", () => statfs(this.#places.root));
    return bavail * bsize;
  }

  /** Nothing is kept open between calls. */
  async close(): Promise<void> {}

  async #stand(staged: StagedObject): Promise<Stand | null> {
    const path = await stagingPath(this.#places, fromHandle(staged), staged.key);
    return path === null ? null : { staged: path, destination: join(dirname(path), basename(staged.key)) };
  }
}

async function removeIfEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    if (["ENOTEMPTY", "EEXIST", "ENOENT", "EBUSY"].includes(codeOf(error) ?? "")) return false;
    throw error;
  }
}

/** Always true. That the staged file is gone is for the next look to explain. */
async function replace({ staged, destination }: Stand, key: string): Promise<boolean> {
  try {
    await unlessAbsent(rename(staged, destination));
    return true;
  } catch (error) {
    if (codeOf(error) === "EISDIR") throw folderInTheWay(key);
    throw error;
  }
}

/** False when the name is taken. */
async function linkUnlessTaken(stand: Stand): Promise<boolean> {
  try {
    await unlessAbsent(link(stand.staged, stand.destination));
    return true;
  } catch (error) {
    const code = codeOf(error) ?? "";
    if (code === "EEXIST") return false;
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(code)) throw error;
    // No hard links here (FAT, some network mounts). The keys of publishing jobs are claimed, so only a stranger could
    // come between the look and the rename.
    if ((await look(stand.destination)) !== null) return false;
    return await replace(stand, basename(stand.destination));
  }
}

export async function openLocalBackend(options: LocalBackendOptions): Promise<StorageBackend> {
  return new LocalBackend(options, await translated(options.name, () => openPlaces(options.root)));
}

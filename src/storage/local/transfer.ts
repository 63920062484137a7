/** The bytes of a work file into a staged one: taken over where both lie on one file system, copied otherwise. */
import { constants, copyFile, type FileHandle, lstat, open, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { RendiffError } from "../../errors.ts";
import type { PreparedFile } from "../port.ts";
import { codeOf, unlessAbsent } from "./errors.ts";
import { syncFolder } from "./places.ts";
import { identityOf } from "./stat.ts";

const CHUNK_BYTES = 1024 * 1024;

export interface Transfer {
  /** Absolute, both. */
  readonly from: string;
  readonly to: string;
  readonly signal: AbortSignal | undefined;
  readonly prepared: PreparedFile | undefined;
  onBytes(totalBytes: number): void;
}

/** One object to another name, both absolute. */
export interface Duplicate {
  /** Of the file itself; it may have another name by now. */
  readonly from: FileHandle;
  readonly fromPath: string;
  readonly to: string;
  readonly signal: AbortSignal | undefined;
}

export interface Transferred {
  readonly sizeBytes: number;
  readonly sha256: string;
}

async function writeAll(to: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    // A nearly full disk takes a part of the bytes and refuses the rest.
    const { bytesWritten } = await to.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}

/** Reads all of `from`, hashes it and, with `to`, writes it, with one buffer, however large the file is. */
async function pump(
  from: FileHandle,
  to: FileHandle | null,
  transfer: Pick<Transfer, "signal" | "onBytes">,
): Promise<Transferred> {
  const { size } = await from.stat();
  const buffer = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(1, size)));
  const hasher = new Bun.CryptoHasher("sha256");
  let sizeBytes = 0;
  while (true) {
    transfer.signal?.throwIfAborted();
    const { bytesRead } = await from.read(buffer, 0, buffer.length, sizeBytes);
    if (bytesRead === 0) break;
    const bytes = buffer.subarray(0, bytesRead);
    hasher.update(bytes);
    if (to !== null) await writeAll(to, bytes);
    sizeBytes += bytesRead;
    transfer.onBytes(sizeBytes);
  }
  return { sizeBytes, sha256: hasher.digest("hex") };
}

async function copy(from: FileHandle, transfer: Pick<Transfer, "to" | "signal" | "onBytes">): Promise<Transferred> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
  const to = await open(transfer.to, flags, 0o666);
  try {
    const result = await pump(from, to, transfer);
    // Delayed allocation: a full disk may only be found out here.
    await to.sync();
    const { size } = await to.stat();
    if (size !== result.sizeBytes) {
      throw new RendiffError({
        kind: "storage.corrupt",
        publicMessage: "The storage kept other bytes than were sent.",
      });
    }
    return result;
  } finally {
    await to.close();
  }
}

/** False where the two lie on different file systems, or where the file has another name that may be written through. */
async function takeOver(from: FileHandle, transfer: Transfer): Promise<boolean> {
  if ((await from.stat()).nlink !== 1) return false;
  try {
    await rename(transfer.from, transfer.to);
    return true;
  } catch (error) {
    if (codeOf(error) === "EXDEV") return false;
    throw error;
  }
}

/** False where the file system cannot share blocks between files; the name is free then. */
async function share(fromPath: string, to: string): Promise<boolean> {
  await unlessAbsent(unlink(to));
  try {
    // Never through a link that took the name.
    await copyFile(fromPath, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    return true;
  } catch {
    await unlessAbsent(unlink(to));
    return false;
  }
}

/**
 * A file of its own with the same bytes, hashed and on the disk when it resolves; its blocks are shared until one of the two
 * is written to, where the file system knows how. Never a link: who writes into one file would change the other.
 */
export async function duplicateFile({ from, fromPath, to, signal }: Duplicate): Promise<Transferred> {
  const transfer = { to, signal, onBytes: () => {} };
  try {
    if (!(await share(fromPath, to))) return await copy(from, transfer);
    const shared = await openSource(to);
    try {
      const [result] = await Promise.all([pump(shared, null, transfer), shared.sync()]);
      return result;
    } finally {
      await shared.close();
    }
  } catch (error) {
    await unlessAbsent(unlink(to));
    throw error;
  } finally {
    await syncFolder(dirname(to));
  }
}

const noFile = (cause?: unknown): RendiffError =>
  new RendiffError({ kind: "output.invalid", publicMessage: "FFmpeg did not write the file that it should.", cause });

export async function openSource(path: string): Promise<FileHandle> {
  let handle: FileHandle;
  try {
    // FFmpeg wrote it: a link in its place would publish some other file.
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw ["ENOENT", "ENOTDIR", "ELOOP"].includes(codeOf(error) ?? "") ? noFile(error) : error;
  }
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw noFile();
}

/**
 * Hashed and on the disk when it resolves, as far as `transferFile` has to do that for a file that it takes over; null for one
 * that it would copy to a folder like `root`.
 */
export async function prepareFile(path: string, root: string, signal?: AbortSignal): Promise<PreparedFile | null> {
  const from = await openSource(path);
  try {
    const { dev } = await lstat(root, { bigint: true });
    const stat = await from.stat({ bigint: true });
    if (stat.nlink !== 1n || stat.dev !== dev) return null;
    const [hashed] = await Promise.all([pump(from, null, { signal, onBytes: () => {} }), from.sync()]);
    return { ...hashed, identity: identityOf(stat) };
  } finally {
    await from.close();
  }
}

/** What is known of the very bytes in `from`, which are on the disk then; a rename has kept its identity. */
async function knownOf(from: FileHandle, { prepared }: Transfer): Promise<PreparedFile | null> {
  if (prepared === undefined) return null;
  return identityOf(await from.stat({ bigint: true })) === prepared.identity ? prepared : null;
}

async function settleBytes(from: FileHandle, transfer: Transfer): Promise<Transferred> {
  const known = await knownOf(from, transfer);
  if (known !== null) {
    const { sizeBytes, sha256 } = known;
    transfer.onBytes(sizeBytes);
    return { sizeBytes, sha256 };
  }
  // Both read the same pages: neither waits for the other.
  const [result] = await Promise.all([pump(from, null, transfer), from.sync()]);
  return result;
}

/** Complete, hashed and on the disk when it resolves; when it rejects, nothing is left at `to`. */
export async function transferFile(transfer: Transfer): Promise<Transferred> {
  const from = await openSource(transfer.from);
  try {
    transfer.signal?.throwIfAborted();
    const result = (await takeOver(from, transfer)) ? await settleBytes(from, transfer) : await copy(from, transfer);
    await syncFolder(dirname(transfer.to));
    return result;
  } catch (error) {
    await unlessAbsent(unlink(transfer.to));
    throw error;
  } finally {
    await from.close();
  }
}

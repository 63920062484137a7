/** The bytes of uploads: one file each, named by its id, in a folder that all replicas share. */
import { constants, type FileHandle, lstat, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { RendiffError } from "../errors.ts";
import { toResourceError } from "../work-folders/errors.ts";

export interface UploadBytes {
  /** How much there is; rejects with `service.unavailable` where the file is not to be seen from here. Makes a new one. */
  size(id: string, options: { readonly isNew: boolean }): Promise<number>;
  /**
   * Writes what comes from `startByte` on. `onBytes` hears of each piece that was written, also when it rejects later; what
   * it was told of is on the disk when this call ends, either way.
   */
  write(id: string, startByte: number, chunks: AsyncIterable<Uint8Array>, onBytes: OnBytes): Promise<void>;
  /** Idempotent. */
  remove(id: string): Promise<void>;
}

/** Called before a piece is written, with its length, and may throw; then after it, with what was written. */
export interface OnBytes {
  before(bytes: number): void;
  after(bytes: number): void;
}

const notHere = (cause: unknown): RendiffError =>
  new RendiffError({
    kind: "service.unavailable",
    publicMessage: "The upload's bytes are not to be found in this server's storage folder.",
    hint: "Every replica needs the same folder as STORAGE_PATH.",
    retryAfterSeconds: 30,
    cause,
  });

const DENIED = new Set(["EROFS", "EACCES", "EPERM"]);

function toProblem(error: unknown): unknown {
  if (!DENIED.has(String((error as { code?: unknown }).code))) return toResourceError(error);
  return new RendiffError({
    kind: "storage.denied",
    publicMessage: "The storage folder cannot be written to.",
    cause: error,
  });
}

const isAbsent = (error: unknown): boolean => (error as { code?: unknown }).code === "ENOENT";

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number, onBytes: OnBytes): Promise<void> {
  onBytes.before(bytes.length);
  for (let done = 0; done < bytes.length; ) {
    // A nearly full disk takes a part of the bytes and refuses the rest.
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    onBytes.after(bytesWritten);
    done += bytesWritten;
  }
}

/** `folder`: absolute; made when the first upload begins. */
export function makeUploadBytes(folder: string): UploadBytes {
  const path = (id: string): string => join(folder, id);
  async function make(file: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    await (await open(file, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)).close();
  }
  return {
    async size(id, { isNew }) {
      try {
        if (isNew) await make(path(id));
        return (await lstat(path(id))).size;
      } catch (error) {
        throw isAbsent(error) ? notHere(error) : toProblem(error);
      }
    },
    async write(id, startByte, chunks, onBytes) {
      // Never made anew here: a writer that was frozen finds out that the upload has gone.
      const file = await open(path(id), constants.O_WRONLY | constants.O_NOFOLLOW).catch((error: unknown) => {
        throw isAbsent(error) ? notHere(error) : error;
      });
      let position = startByte;
      try {
        for await (const chunk of chunks) {
          await writeAll(file, chunk, position, onBytes);
          position += chunk.length;
        }
      } catch (error) {
        throw toResourceError(error);
      } finally {
        await file.datasync().finally(() => file.close());
      }
    },
    remove: (id) => rm(path(id), { force: true }),
  };
}

/** What the file system says, in the domain's words. No path of this machine gets into a public message. */
import { RendiffError, type RendiffErrorInit } from "../../errors.ts";

/** The subject of a sentence: `The input "folder/a.mp4"`. */
export const named = (key: string): string => `"${key}"`;

export function codeOf(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

type Translation = Pick<RendiffErrorInit, "kind" | "retry"> & { readonly text: (key: string) => string };

const denied = (what: string): Translation => ({
  kind: "storage.denied",
  text: (key) => `${what} ${named(key)}.`,
});
const missing: Translation = { kind: "input.not_found", text: (key) => `There is no file ${named(key)}.` };
const full: Translation = {
  kind: "resource.disk",
  retry: "backoff",
  text: (key) => `There is no space left in the storage for ${named(key)}.`,
};
const conflict: Translation = {
  kind: "output.conflict",
  text: (key) => `A folder stands where ${named(key)} should be, or a file where one of its folders should be.`,
};

const TRANSLATIONS: Readonly<Record<string, Translation>> = {
  ENOENT: missing,
  EACCES: denied("The storage denies access to"),
  EPERM: denied("The storage denies access to"),
  EROFS: denied("The storage is read-only and cannot hold"),
  ELOOP: denied("The storage does not follow the symbolic link at"),
  ENAMETOOLONG: denied("The storage does not take a name as long as"),
  EILSEQ: denied("The storage does not take the characters of"),
  EINVAL: denied("The storage does not take the name"),
  EFBIG: denied("The storage does not take a file as large as"),
  ENOSPC: full,
  EDQUOT: full,
  EISDIR: conflict,
  ENOTDIR: conflict,
  EEXIST: conflict,
  ENOTEMPTY: conflict,
};

const unavailable: Translation = {
  kind: "storage.unavailable",
  retry: "backoff",
  text: (key) => `The storage failed while working on ${named(key)}.`,
};

/** `key` is what the client named; the error of the system is kept as the cause. */
export function toStorageError(error: unknown, key: string): unknown {
  const code = codeOf(error);
  // Our own errors, and the reason of an aborted signal, are what they are.
  if (error instanceof RendiffError || code === null) return error;
  const { kind, retry = "never", text } = TRANSLATIONS[code] ?? unavailable;
  return new RendiffError({ kind, retry, publicMessage: text(key), cause: error });
}

/** Runs `work` with its errors translated. */
export async function translated<T>(key: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStorageError(error, key);
  }
}

/** Null instead of the error when the thing is not there. */
export async function unlessAbsent<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw error;
  }
}

/** Whether two places are one object, whatever they are called, and whether an object is still the one it was. */
import { RendiffError } from "../errors.ts";
import type { ObjectRef, StorageBackend, StorageRegistry } from "./port.ts";

/**
 * True for equal places, and for files of this machine that are one through symbolic links, hard links, a file system
 * that ignores case, or two backends over one folder: a file's identity holds its inode. What does not exist is the same
 * as nothing.
 */
export async function sameObject(registry: StorageRegistry, a: ObjectRef, b: ObjectRef): Promise<boolean> {
  if (a.backend === b.backend && a.key === b.key) return true;
  const [first, second] = [registry.backend(a.backend), registry.backend(b.backend)];
  if (!first.properties.inPlace || !second.properties.inPlace) return false;
  const [one, other] = await Promise.all([first.stat(a.key), second.stat(b.key)]);
  return one !== null && one.identity === other?.identity;
}

/** Rejects with `input.changed` when the object's identity is another than it was, or the object is gone. */
export async function requireUnchanged(
  backend: StorageBackend,
  key: string,
  identity: string,
  signal?: AbortSignal,
): Promise<void> {
  const now = await backend.stat(key, signal);
  if (now?.identity === identity) return;
  throw new RendiffError({
    kind: "input.changed",
    publicMessage: `The input "${key}" was changed or removed while the job worked on it.`,
  });
}

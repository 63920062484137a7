/** Whether two places are one object, whatever they are called, and whether an object is still the one it was. */
import { stat } from "node:fs/promises";
import { RendiffError } from "../errors.ts";
import type { ObjectRef, StorageBackend, StorageRegistry } from "./port.ts";

async function fileOf(backend: StorageBackend, key: string): Promise<string | null> {
  try {
    const path = await backend.localPath(key);
    if (path === null) return null;
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    if (error instanceof RendiffError && error.kind === "input.not_found") return null;
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

/**
 * True for equal places, and for files of this machine that are one through symbolic links, hard links, a file system
 * that ignores case, or two backends over one folder. What does not exist is the same as nothing.
 */
export async function sameObject(registry: StorageRegistry, a: ObjectRef, b: ObjectRef): Promise<boolean> {
  if (a.backend === b.backend && a.key === b.key) return true;
  const backends = [registry.backend(a.backend), registry.backend(b.backend)] as const;
  if (!backends.every(({ properties }) => properties.inPlace)) return false;
  const first = await fileOf(backends[0], a.key);
  return first !== null && first === (await fileOf(backends[1], b.key));
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

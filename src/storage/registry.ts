/** The backends of this deployment by their configured names. */
import type { StorageBackend, StorageRegistry } from "./port.ts";
import { noBackend } from "./uri.ts";

/** Throws when two backends have one name. The backends stay the caller's to close. */
export function makeStorageRegistry(backends: readonly StorageBackend[]): StorageRegistry {
  const byName = new Map(backends.map((backend) => [backend.name, backend]));
  if (byName.size !== backends.length) throw new Error("Two storage backends have the same name.");
  const names = [...byName.keys()];
  return {
    names,
    backend(name) {
      const backend = byName.get(name);
      if (backend === undefined) throw noBackend(name, names);
      return backend;
    },
  };
}

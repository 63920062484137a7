/** Files that are sent before they are verified: to where no reader looks, so that one that is refused was seen by nobody. */
import { lstat } from "node:fs/promises";
import { RendiffError } from "../../../src/errors.ts";
import type { FillOptions, StagedBytes, StagedObject, StorageBackend } from "../../../src/storage/port.ts";
import type { AheadOutput } from "../attempt.types.ts";

async function identityOf(path: string): Promise<string> {
  const { ino, size, mtimeMs } = await lstat(path);
  return `${ino}:${size}:${mtimeMs}`;
}

/** The file is whole, and nobody writes it any more. */
export async function fillEarly(
  backend: StorageBackend,
  staged: StagedObject,
  path: string,
  options: FillOptions,
): Promise<Awaited<AheadOutput["filled"]>> {
  const identity = await identityOf(path);
  return { bytes: await backend.fill(staged, path, options), identity };
}

/** What was sent is what was verified; rejects with `output.invalid` when somebody wrote the file in between. */
export async function takeEarly({ filled }: AheadOutput, path: string): Promise<StagedBytes> {
  const { bytes, identity } = await filled;
  if (identity === (await identityOf(path))) return bytes;
  throw new RendiffError({
    kind: "output.invalid",
    retry: "backoff",
    publicMessage: "An output was changed after it was sent.",
  });
}

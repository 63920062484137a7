/**
 * How the packager is told a key: through a file in the work folder, since what stands in an argument can be read by
 * everybody on the machine.
 */
import { createHash } from "node:crypto";
import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ContentKey } from "./encrypt.ts";

const FLAGS_FILE = "out/key-flags";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Players ask for a key by its id; it tells nothing of the key. */
export const keyIdOf = ({ bytes }: ContentKey): string =>
  createHash("sha256").update("rendiff key id").update(bytes).digest("hex").slice(0, 32);

/** `use` gets the arguments; the file is gone when it has settled. */
export async function withKeyFlags<T>(
  workDir: string,
  key: ContentKey,
  use: (args: readonly string[]) => Promise<T>,
): Promise<T> {
  const path = join(workDir, FLAGS_FILE);
  await Bun.write(path, "");
  await chmod(path, 0o600);
  await Bun.write(path, `--keys=label=:key_id=${keyIdOf(key)}:key=${hex(key.bytes)}\n`);
  try {
    return await use([`--flagfile=${FLAGS_FILE}`]);
  } finally {
    await rm(path, { force: true });
  }
}

export const ENCRYPTING = ["--enable_raw_key_encryption", "--protection_scheme", "cbcs", "--clear_lead", "0"] as const;
export const DECRYPTING = ["--enable_raw_key_decryption", "--quiet"] as const;

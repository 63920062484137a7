/**
 * A hidden file beside the destination: on the same file system, so that publishing is one rename, and named by whose it
 * is, so that it is found again even when only the intent was recorded.
 */
import { createHash } from "node:crypto";
import { constants, open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { RendiffError } from "../../errors.ts";
import { STAGING_PREFIX } from "../key.ts";
import type { StagedObject } from "../port.ts";
import { codeOf } from "./errors.ts";
import { checkKey, type Places } from "./places.ts";

const NAME = /^\.rendiff-[0-9A-Za-z-]{1,64}-\d{1,19}-[0-9a-f]{16}\.part$/;
const HANDLE = /^(\d{1,4}):(.+)$/s;

export interface Staging {
  /** Relative to the root. */
  readonly key: string;
  /** How many of the folders above it were made for it, from the innermost outwards. */
  readonly madeFolders: number;
}

export type Owner = Pick<StagedObject, "jobId" | "leaseToken">;

export const isStagingName = (name: string): boolean => name.startsWith(STAGING_PREFIX);

/** Two outputs of one job in one folder need two names: the hash is of the key. */
export function stagingKey(key: string, { jobId, leaseToken }: Owner): string {
  const hash = createHash("sha256").update(key).digest("hex").slice(0, 16);
  const name = `${STAGING_PREFIX}${jobId}-${leaseToken}-${hash}.part`;
  if (!NAME.test(name)) throw new RendiffError({ kind: "internal", publicMessage: "A job's id is malformed." });
  const folder = dirname(key);
  return folder === "." ? name : join(folder, name);
}

export const toHandle = ({ key, madeFolders }: Staging): string => `${madeFolders}:${key}`;

/** A handle comes from a row: only what `stage` could have written is believed. */
export function fromHandle(staged: StagedObject): Staging {
  checkKey(staged.key);
  const expected = stagingKey(staged.key, staged);
  // Only the intent is on record: the folders that were made are not known, and stay.
  if (staged.handle === "") return { key: expected, madeFolders: 0 };
  const [, made = "", key = ""] = HANDLE.exec(staged.handle) ?? [];
  if (key !== expected) {
    throw new RendiffError({ kind: "internal", publicMessage: "A staged file's handle is malformed." });
  }
  return { key, madeFolders: Number(made) };
}

/** Absolute; null when the folder is gone, and the staged file with it. */
export async function stagingPath(places: Places, staging: Staging, outputKey: string): Promise<string | null> {
  const folder = await places.parent(outputKey);
  return folder === null ? null : join(folder, basename(staging.key));
}

/** The folders may be removed by an aborted neighbour between their making and the first file in them. */
const TRIES = 5;

/** Makes the folders above `key` and the empty hidden file: whether the storage can be written to shows now. */
export async function createStaging(
  places: Places,
  key: string,
  owner: Owner,
): Promise<{ folder: string; staging: Staging }> {
  const stagedKey = stagingKey(key, owner);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW;
  for (let attempt = 1; ; attempt++) {
    try {
      const { folder, made } = await places.makeParent(key);
      const handle = await open(join(folder, basename(stagedKey)), flags, 0o666);
      await handle.close();
      return { folder, staging: { key: stagedKey, madeFolders: made } };
    } catch (error) {
      if (codeOf(error) !== "ENOENT" || attempt === TRIES) throw error;
    }
  }
}

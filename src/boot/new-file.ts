/** A file that a command makes under a name that somebody chose: whole, lasting, and never in another's place. */
import { access, link, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { RendiffError } from "../errors.ts";

export const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

export const alreadyThere = (path: string): RendiffError =>
  new RendiffError({
    kind: "request.conflict",
    publicMessage: `${path} is there already.`,
    hint: "Name another file, or remove it first.",
  });

/** What is in the file, or which names the folder has, is still there after a power failure. */
export async function sync(path: string, flags: "r" | "r+"): Promise<void> {
  const handle = await open(path, flags);
  await handle.sync().finally(() => handle.close());
}

/**
 * Gives a finished file its name, unless something has that name by now: a link never replaces, a rename always does.
 * Where the file system has no links, only the look before is left.
 */
export async function nameOnce(unfinished: string, path: string): Promise<void> {
  try {
    await link(unfinished, path);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "EEXIST") throw alreadyThere(path);
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "EOPNOTSUPP") throw error;
    if (await exists(path)) throw alreadyThere(path);
    await rename(unfinished, path);
  }
  await rm(unfinished, { force: true });
  await sync(dirname(path), "r");
}

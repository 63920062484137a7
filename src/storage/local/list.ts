/**
 * Keys in the order of their UTF-8 bytes, as object stores list them: a folder sorts as its name with the slash, so
 * that `a.b` comes before `a/b`. Symbolic links are not followed and not listed.
 */
import { lstat, opendir } from "node:fs/promises";
import { join } from "node:path";
import type { ObjectStat } from "../port.ts";
import { unlessAbsent } from "./errors.ts";
import { isStagingName } from "./staging.ts";
import { toObjectStat } from "./stat.ts";

interface Page {
  readonly prefix: string;
  readonly limit: number;
  /** The keys behind this one; empty for all. */
  readonly after: string;
}

type Listed = { readonly key: string; readonly stat: ObjectStat };

const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** Paths below `folder` (`""` or with a slash at the end), folders with a slash at the end, in order. */
async function entriesOf(root: string, folder: string): Promise<string[]> {
  const entries: string[] = [];
  const open = await unlessAbsent(opendir(join(root, folder)));
  if (open === null) return entries;
  for await (const entry of open) {
    if (isStagingName(entry.name)) continue;
    if (entry.isDirectory()) entries.push(`${folder}${entry.name}/`);
    else if (entry.isFile()) entries.push(folder + entry.name);
  }
  return entries.sort(compare);
}

/** False when nothing below or at `path` can be on the page. */
function mayHold(path: string, { prefix, after }: Page): boolean {
  const isFolder = path.endsWith("/");
  const fits = path.startsWith(prefix) || (isFolder && prefix.startsWith(path));
  if (!fits) return false;
  return compare(path, after) > 0 || (isFolder && after.startsWith(path));
}

async function walk(root: string, folder: string, page: Page, found: Listed[]): Promise<void> {
  for (const path of await entriesOf(root, folder)) {
    if (found.length >= page.limit) return;
    if (!mayHold(path, page)) continue;
    if (path.endsWith("/")) {
      await walk(root, path, page, found);
      continue;
    }
    const stat = await unlessAbsent(lstat(join(root, path), { bigint: true }));
    // Absent: deleted meanwhile, or a name that is not valid UTF-8 and so no key.
    if (stat?.isFile() === true) found.push({ key: path, stat: toObjectStat(stat) });
  }
}

export async function listFiles(root: string, page: Page): Promise<readonly Listed[]> {
  const found: Listed[] = [];
  await walk(root, "", page, found);
  return found;
}

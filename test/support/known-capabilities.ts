/**
 * What FFmpeg can do, handed from one server of a run to the next: trying it out takes seconds of both cores, and the
 * program itself sees whether what it is given still holds. The first server of a run has to find out.
 */
import { copyFile, mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { testEnv } from "./env.ts";

async function copyKnown(from: string, to: string): Promise<void> {
  const names = (await readdir(from).catch(() => [])).filter((name) => /^capabilities-\w+\.json$/.test(name));
  if (names.length === 0) return;
  await mkdir(to, { recursive: true });
  for (const name of names) {
    const scratch = join(to, `${name}.${Bun.randomUUIDv7()}`);
    await copyFile(join(from, name), scratch);
    await rename(scratch, join(to, name));
  }
}

const cacheOf = (dataDir: string): string => join(dataDir, "cache");

/** Before a server starts in `dataDir`. */
export const giveCapabilities = (dataDir: string): Promise<void> => copyKnown(testEnv().known, cacheOf(dataDir));

/** Once it is ready. */
export const keepCapabilities = (dataDir: string): Promise<void> => copyKnown(cacheOf(dataDir), testEnv().known);

/** Folders that go away with the test file that made them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterFile } from "./cleanup.ts";

/** Makes an empty folder (mode 0700, absolute path) and removes it, with what it holds, after the test file. */
export async function makeTempDir(name = "test"): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), `rendiff-${name}-`));
  afterFile(() => rm(path, { recursive: true, force: true }));
  return path;
}

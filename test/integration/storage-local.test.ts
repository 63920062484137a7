/** The local backend against the storage contract, with work files on its own file system and on another. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { openLocalBackend } from "../../src/storage/local/local-backend.ts";
import type { BackendProperties } from "../../src/storage/port.ts";
import { storageContract } from "../contract/storage.contract.ts";
import { copyingContract } from "../contract/storage-copying.contract.ts";
import { afterFile } from "../support/cleanup.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const PROPERTIES: BackendProperties = {
  type: "local",
  readable: true,
  writable: true,
  publishing: "rename",
  conditionalDelete: false,
  conditionalPublish: true,
  findsStaging: true,
  inPlace: true,
};

async function subjectIn(root: string, workDir: string) {
  const open = () => openLocalBackend({ name: "local", root });
  return { backend: await open(), reopen: open, workDir };
}

storageContract("local, work files on the same file system", PROPERTIES, async () => {
  const folder = await makeTempDir("storage");
  return await subjectIn(join(folder, "root"), join(folder, "work"));
});

copyingContract("local", async () => {
  const folder = await makeTempDir("storage");
  return await subjectIn(join(folder, "root"), join(folder, "work"));
});

/** Linux's memory file system is never the one of /tmp's files on disk; where both are one, the same is tested twice. */
const MEMORY = "/dev/shm";

if (existsSync(MEMORY)) {
  storageContract("local, work files on another file system", PROPERTIES, async () => {
    const root = await mkdtemp(join(MEMORY, "rendiff-storage-"));
    afterFile(() => rm(root, { recursive: true, force: true }));
    return await subjectIn(root, await makeTempDir("storage"));
  });
}

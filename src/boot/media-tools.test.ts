import { expect, test } from "bun:test";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir } from "../../test/support/temp-dir.ts";
import type { JobId } from "../jobs/types.ts";
import { makeSpace } from "../work-folders/space.ts";
import { makeWorkFolders } from "../work-folders/work-folders.ts";
import { makeScratch } from "./media-tools.ts";

test("a look takes its room from what attempts have left, gives it back, and leaves nothing", async () => {
  const tempDir = await makeTempDir("scratch");
  const tempLimitBytes = 1_000_000;
  const space = makeSpace({ tempDir, limitBytes: tempLimitBytes });
  const attempts = await makeWorkFolders({ tempDir, tempLimitBytes, space });
  const inScratch = makeScratch(tempDir, space);
  const attempt = { jobId: Bun.randomUUIDv7() as JobId, leaseToken: 1 };
  const held = await attempts.reserve(attempt, 600_000);
  await inScratch(async (folder, reserve) => {
    await reserve(300_000);
    await writeFile(join(folder, "object"), "bytes");
    await expect(reserve(300_000)).rejects.toMatchObject({ kind: "resource.disk", retry: "backoff" });
    expect(await attempts.reserve(attempt, 300_000)).toBeNull();
  });
  expect(await readdir(tempDir)).toEqual([]);
  const failing = inScratch(async (_, reserve) => {
    await reserve(300_000);
    throw new Error("no film");
  });
  await expect(failing).rejects.toThrow("no film");
  expect(await attempts.reserve(attempt, 390_000)).not.toBeNull();
  held?.release();
});

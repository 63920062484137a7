/** S3 uploads that somebody else ended, and what a store lost of them. */
import { expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { kindOf, makeFile, newOwner, publish, put, read, stageAndFill } from "../contract/storage-subject.ts";
import { startStore } from "../support/stores.ts";
import { type S3Store, s3Subject } from "./s3-subject.ts";

test.each<S3Store>(["minio", "rclone"])(
  "%s: filling an upload that was aborted meanwhile fails as what another attempt can do",
  async (store) => {
    const { backend, workDir } = await s3Subject(store);
    const staged = await backend.stage("a.mp4", newOwner());
    await backend.abort(staged);
    const filling = backend.fill(staged, await makeFile({ workDir }, "bytes"), { mediaType: "video/mp4" });
    await expect(filling).rejects.toMatchObject({ kind: "storage.unavailable", retry: "backoff" });
    await backend.close();
  },
);

test("rclone: an object that is named but lost is not taken for one that is there, and is made again", async () => {
  const subject = await s3Subject("rclone");
  const { backend, options } = subject;
  const bytes = await stageAndFill(subject, "a.mp4", "hello");
  expect(await publish(backend, bytes)).toMatchObject({ outcome: "published" });
  await rm(join((await startStore("rclone")).folder, options.bucket ?? "", "a.mp4"));
  for (const look of [() => backend.stat("a.mp4"), () => backend.settle(bytes), () => publish(backend, bytes)]) {
    expect(await kindOf(look())).toBe("storage.unavailable");
  }
  await put(subject, "a.mp4", "hello");
  expect(await read(backend, "a.mp4")).toBe("hello");
  await backend.close();
});

/** S3 uploads that somebody else ended. */
import { expect, test } from "bun:test";
import { makeFile, newOwner } from "../contract/storage-subject.ts";
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

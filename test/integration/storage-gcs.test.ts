import { Storage } from "@google-cloud/storage";
import { openGcsBackend } from "../../src/storage/gcs/gcs-backend.ts";
import { storageContract } from "../contract/storage.contract.ts";
import { copyingContract } from "../contract/storage-copying.contract.ts";
import { startStore } from "../support/stores.ts";
import { makeTempDir } from "../support/temp-dir.ts";

let buckets = 0;

async function subject() {
  const { url } = await startStore("fake-gcs");
  const bucket = `bucket-${buckets++}`;
  await new Storage({ apiEndpoint: url, projectId: "test", useAuthWithCustomEndpoint: false }).createBucket(bucket);
  const open = () =>
    openGcsBackend({
      ...{ name: "gcs", bucket, prefix: "", endpoint: url, keyFilename: null, readable: true, writable: true },
      // fake-gcs-server ignores preconditions of copies and deletions.
      conditionalWrites: false,
    });
  return { backend: await open(), reopen: open, workDir: await makeTempDir("work") };
}

storageContract(
  "Google Cloud Storage on fake-gcs-server",
  {
    ...{ type: "gcs", readable: true, writable: true, publishing: "copy", inPlace: false, findsStaging: true },
    ...{ conditionalDelete: false, conditionalPublish: false },
  },
  subject,
);

copyingContract("Google Cloud Storage on fake-gcs-server", subject, false);

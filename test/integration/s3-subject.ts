/** Buckets of their own on the S3 servers of the tests. */
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { BackendProperties } from "../../src/storage/port.ts";
import type { S3Options } from "../../src/storage/s3/client.ts";
import { openS3Backend } from "../../src/storage/s3/s3-backend.ts";
import { ACCESS_KEY, SECRET_KEY, startStore } from "../support/stores.ts";
import { makeTempDir } from "../support/temp-dir.ts";

export type S3Store = "rclone" | "minio";

export const S3_PROPERTIES = (store: S3Store): BackendProperties => ({
  type: "s3",
  readable: true,
  writable: true,
  publishing: "multipart",
  conditionalDelete: store === "minio",
  conditionalPublish: store === "minio",
  findsStaging: store === "minio",
  inPlace: false,
});

/** Frozen, as the configuration is. */
const frozen = Object.freeze({ accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY });
export const credentials = { ...frozen };

let buckets = 0;

export async function makeBucket(endpoint: string): Promise<string> {
  const bucket = `bucket-${process.pid}-${buckets++}`;
  const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  return bucket;
}

export async function s3Options(store: S3Store): Promise<S3Options & { endpoint: string; bucket: string }> {
  const { url } = await startStore(store);
  return {
    name: store,
    bucket: await makeBucket(url),
    prefix: "",
    endpoint: url,
    region: null,
    credentials: frozen,
    virtualHosts: false,
    conditionalWrites: store === "minio",
    // rclone refuses to complete an upload without each of its parts.
    marks: store === "minio",
    checksums: true,
    readable: true,
    writable: true,
  };
}

export async function s3Subject(store: S3Store, changes: Partial<S3Options> = {}) {
  const options = { ...(await s3Options(store)), ...changes };
  const reopen = () => openS3Backend(options);
  return { backend: await reopen(), reopen, workDir: await makeTempDir("work"), options };
}

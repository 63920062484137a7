/** What is fetched in ranges is held against what the store says of the whole. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { BlobServiceClient } from "@azure/storage-blob";
import { Storage } from "@google-cloud/storage";
import { openAzureBackend } from "../../src/storage/azure/azure-backend.ts";
import { openGcsBackend } from "../../src/storage/gcs/gcs-backend.ts";
import type { StorageBackend } from "../../src/storage/port.ts";
import { openS3Backend } from "../../src/storage/s3/s3-backend.ts";
import { openRemote } from "../../src/transfer/remote-input.ts";
import { someBytes } from "../contract/storage-subject.ts";
import { startFaultyProxy } from "../support/faulty-proxy.ts";
import { azureConnectionString, startStore } from "../support/stores.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { credentials, s3Options } from "./s3-subject.ts";

const KEY = "in.bin";
const NAME = `sums-${process.pid}`;
const BYTES = someBytes(3 * 1024 * 1024 + 17);
const place = { bucket: NAME, prefix: "", readable: true, writable: true };

type Through = (proxyUrl: string) => Promise<StorageBackend>;

/** With the object put by its vendor's client, in one request. */
async function minio(): Promise<readonly [string, Through]> {
  const options = await s3Options("minio");
  const client = new S3Client({ endpoint: options.endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  await client.send(new PutObjectCommand({ Bucket: options.bucket, Key: KEY, Body: BYTES }));
  client.destroy();
  return [options.endpoint, (endpoint) => openS3Backend({ ...options, endpoint })];
}

async function azurite(): Promise<readonly [string, Through]> {
  const { url } = await startStore("azurite");
  const direct = BlobServiceClient.fromConnectionString(azureConnectionString(url));
  const { containerClient } = await direct.createContainer(NAME);
  await containerClient.getBlockBlobClient(KEY).upload(BYTES, BYTES.length);
  const through: Through = (proxyUrl) =>
    openAzureBackend({ name: "azure", access: { connectionString: azureConnectionString(proxyUrl) }, ...place });
  return [url, through];
}

async function fakeGcs(): Promise<readonly [string, Through]> {
  const { url } = await startStore("fake-gcs");
  const direct = new Storage({ apiEndpoint: url, projectId: "test", useAuthWithCustomEndpoint: false });
  await direct.createBucket(NAME);
  await direct.bucket(NAME).file(KEY).save(Buffer.from(BYTES), { resumable: false });
  const through: Through = (endpoint) =>
    openGcsBackend({ name: "gcs", endpoint, keyFilename: null, conditionalWrites: false, ...place });
  return [url, through];
}

test.each([
  ["minio", minio],
  ["azurite", azurite],
  ["fake-gcs", fakeGcs],
] as const)("%s: a byte that was changed on its way is noticed, in ranges and in order", async (_, make) => {
  const [url, through] = await make();
  const proxy = await startFaultyProxy(url);
  const backend = await through(proxy.url);
  const folder = await makeTempDir("sums");
  const { signal } = new AbortController();
  const stat = await backend.stat(KEY);
  if (stat === null) throw new Error("It is not there.");
  const fetch = async (name: string, how: "in ranges" | "in order"): Promise<Uint8Array> => {
    const path = join(folder, name);
    const remote = await openRemote({ backend, key: KEY, stat, path, signal, reserve: async () => {} });
    if (how === "in order") return Buffer.concat(await Array.fromAsync(remote.read(signal)));
    await remote.complete(signal);
    return await Bun.file(path).bytes();
  };
  for (const how of ["in ranges", "in order"] as const) {
    proxy.decide = () => null;
    expect(Buffer.compare(await fetch(`whole ${how}`, how), BYTES)).toBe(0);
    let reads = 0;
    // The beginning comes as it is, and what comes after it does not.
    proxy.decide = ({ method, url: path }) => {
      const isRead = method === "GET" && path.includes(KEY) && (!path.includes("/b/") || path.includes("alt=media"));
      return isRead && ++reads > 1 ? { kind: "flip" } : null;
    };
    await expect(fetch(`changed ${how}`, how)).rejects.toMatchObject({ kind: "storage.corrupt", retry: "never" });
  }
  await backend.close();
});

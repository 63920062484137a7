/**
 * Transfers through a proxy that answers 503, breaks connections before and after the store has acted, and cuts and lies
 * about answers. What arrives is what was sent, or the transfer fails with an error that says so; nothing is left.
 */
import { describe, expect, test } from "bun:test";
import { ListMultipartUploadsCommand, ListPartsCommand, NoSuchUpload, S3Client } from "@aws-sdk/client-s3";
import { BlobServiceClient } from "@azure/storage-blob";
import { Storage } from "@google-cloud/storage";
import { RendiffError } from "../../src/errors.ts";
import { openAzureBackend } from "../../src/storage/azure/azure-backend.ts";
import { DEADLINES, withDeadlines } from "../../src/storage/decorators/deadline.ts";
import { RETRIES, withRetries } from "../../src/storage/decorators/retry.ts";
import { openGcsBackend } from "../../src/storage/gcs/gcs-backend.ts";
import type { StagedObject, StorageBackend } from "../../src/storage/port.ts";
import { openS3Backend } from "../../src/storage/s3/s3-backend.ts";
import { makeFile, newOwner, type Owner, sha256Of, someBytes } from "../contract/storage-subject.ts";
import { credentials, s3Options } from "../integration/s3-subject.ts";
import { testEnv } from "../support/env.ts";
import { type Fault, type FaultyProxy, type Seen, startFaultyProxy } from "../support/faulty-proxy.ts";
import { azureConnectionString, startStore } from "../support/stores.ts";
import { makeTempDir } from "../support/temp-dir.ts";

/** 500 in all with --long. */
const TRANSFERS = testEnv().long ? 125 : 8;
const TRIES_MAX = 12;
const QUICK = { ...RETRIES, baseMs: 5, capMs: 50 };
const MEBIBYTE = 1024 * 1024;

interface Subject {
  readonly backend: StorageBackend;
  readonly workDir: string;
  readonly proxy: FaultyProxy;
  /** As the sweeper's after ten minutes: what was begun and is not marked is old enough to go. */
  readonly later: StorageBackend;
  /** What the store holds beside published objects, asked without the proxy. */
  leftovers(keys: readonly string[]): Promise<string[]>;
}

/** The same numbers for the same seed, whatever runs beside. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function chance(random: () => number): Fault | null {
  const roll = random();
  if (roll < 0.1) return { kind: "status", status: 503 };
  if (roll < 0.125) return { kind: "reset", after: "nothing" };
  if (roll < 0.15) return { kind: "reset", after: "the store's answer" };
  if (roll < 0.18) return { kind: "cut", lying: false };
  if (roll < 0.2) return { kind: "cut", lying: true };
  return null;
}

async function s3(store: "minio" | "rclone"): Promise<Subject> {
  const options = await s3Options(store);
  const proxy = await startFaultyProxy(options.endpoint);
  const client = new S3Client({ endpoint: options.endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  const Bucket = options.bucket;
  return {
    ...{ backend: await openS3Backend({ ...options, endpoint: proxy.url }), workDir: await makeTempDir("work"), proxy },
    later: await openS3Backend({ ...options, unmarkedMsMax: -60_000 }),
    async leftovers(keys) {
      const found: string[] = [];
      for (const Prefix of keys) {
        const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix }));
        for (const { Key, UploadId } of Uploads) {
          const parts = client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
          // MinIO may name an upload that it does not know: a folder that came back with a late request, which only its
          // own cleaning can reach.
          const answer = await parts.catch((error: unknown) => {
            if (error instanceof NoSuchUpload) return null;
            throw error;
          });
          if (answer === null) continue;
          const { Parts = [] } = answer;
          // Without marks an upload whose beginning was never answered stays, empty, for the bucket's lifecycle.
          if (options.marks || Parts.length > 0) found.push(`${Key} with ${Parts.length} parts`);
        }
      }
      client.destroy();
      return found;
    },
  };
}

let places = 0;
const newPlace = (): string => `faults-${places++}`;

async function azure(): Promise<Subject> {
  const name = newPlace();
  const { url } = await startStore("azurite");
  const proxy = await startFaultyProxy(url);
  const container = BlobServiceClient.fromConnectionString(azureConnectionString(url)).getContainerClient(name);
  await container.createIfNotExists();
  const access = { connectionString: azureConnectionString(proxy.url) };
  const shape = { name: "azure", bucket: name, prefix: "", readable: true, writable: true };
  return {
    ...{ backend: await openAzureBackend({ ...shape, access }), workDir: await makeTempDir("work"), proxy },
    later: await openAzureBackend({ ...shape, access }),
    async leftovers() {
      const found: string[] = [];
      for await (const { name } of container.listBlobsFlat()) found.push(name);
      return found.filter((name) => name.includes(".rendiff-"));
    },
  };
}

/** A resumable upload's waits begin with a second, and the SDK takes no less as the most; a few small objects need none. */
async function gcs(retryDelaySecondsMax = testEnv().long ? 1 : 0.05): Promise<Subject> {
  const name = newPlace();
  const { url } = await startStore("fake-gcs");
  const proxy = await startFaultyProxy(url);
  const storage = new Storage({ apiEndpoint: url, projectId: "t", useAuthWithCustomEndpoint: false });
  const [bucket] = await storage.createBucket(name);
  const shape = { name: "gcs", bucket: name, prefix: "", readable: true, writable: true };
  const backend = await openGcsBackend({
    ...shape,
    endpoint: proxy.url,
    keyFilename: null,
    conditionalWrites: false,
    retryDelaySecondsMax,
  });
  return {
    ...{ backend, workDir: await makeTempDir("work"), proxy, later: backend },
    async leftovers() {
      const [files] = await bucket.getFiles();
      return files.map(({ name }) => name).filter((name) => name.includes(".rendiff-"));
    },
  };
}

const isClassified = (error: unknown): boolean =>
  error instanceof RendiffError && ["storage.unavailable", "storage.corrupt", "input.changed"].includes(error.kind);

/** As a job does it: what failed is aborted and tried again under a new token. */
async function persist<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!isClassified(error) || tries === TRIES_MAX) throw error;
    }
  }
}

/** Returns what it could not abort: the sweeper comes back for that. */
async function upload(subject: Subject, key: string, content: Uint8Array): Promise<readonly StagedObject[]> {
  const { backend } = subject;
  const { jobId } = newOwner();
  const left: StagedObject[] = [];
  for (let leaseToken = 1; ; leaseToken++) {
    const owner: Owner = { jobId, leaseToken };
    let staged = { backend: backend.name, key, ...owner, handle: "" };
    try {
      staged = await backend.stage(key, owner);
      const file = await makeFile(subject, content);
      const bytes = await backend.fill(staged, file, { mediaType: "video/mp4" });
      const outcome = await persist(() => backend.publish(bytes, { ifAbsent: false }));
      expect([key, outcome.outcome]).toEqual([key, "published"]);
      await persist(() => backend.abort(bytes));
      return left;
    } catch (error) {
      if (!isClassified(error) || leaseToken === TRIES_MAX) throw error;
      await persist(() => backend.abort(staged)).catch((problem) => {
        expect(isClassified(problem)).toBe(true);
        left.push(staged);
      });
    }
  }
}

const download = (backend: StorageBackend, key: string): Promise<Uint8Array> =>
  persist(async () => {
    const stat = await backend.stat(key);
    const opened = await backend.open(key, stat === null ? {} : { ifIdentity: stat.identity });
    const bytes = await new Response(opened.stream).bytes();
    // A lie about the length shows in the identity's own size.
    expect(bytes.length).toBe(opened.stat.sizeBytes);
    return bytes;
  });

const STORES: readonly (readonly [string, number, () => Promise<Subject>])[] = [
  ["MinIO", 1, () => s3("minio")],
  ["rclone", 2, () => s3("rclone")],
  ["Azurite", 3, azure],
  ["fake-gcs-server", 4, () => gcs()],
];

/** For an object's bytes, not for what a store says of it. */
const isForBytes = ({ method, url }: Seen): boolean =>
  method === "GET" && (url.includes("/download/") || !url.includes("/storage/v1/"));

describe("through silence", () => {
  test.each(STORES)("%s: a stalled connection is given back, and the rest comes over another", async (_, __, open) => {
    const subject = await open();
    const backend = withRetries(withDeadlines(subject.backend, { ...DEADLINES, idleMs: 300 }), QUICK);
    const content = someBytes(300_000);
    await upload({ ...subject, backend }, "stalled", content);
    const { promise: given, resolve: closed } = Promise.withResolvers<void>();
    let stalls = 1;
    subject.proxy.decide = (seen) => (isForBytes(seen) && stalls-- > 0 ? { kind: "stall", closed } : null);
    expect(sha256Of(await download(backend, "stalled"))).toBe(sha256Of(content));
    expect(stalls).toBeLessThan(1);
    await given;
    await backend.close();
  });
});

describe("through a refusal", () => {
  test.each([
    ["MinIO", () => s3("minio")],
    ["Azurite", azure],
    ["fake-gcs-server", () => gcs(1)],
  ] as const)("%s: a large upload that is not taken fails with what the store said", async (_, open) => {
    const { backend, workDir, proxy } = await open();
    const staged = await backend.stage("refused", newOwner());
    proxy.decide = ({ method }) => (method === "GET" ? null : { kind: "status", status: 403 });
    const file = await makeFile({ workDir }, someBytes(9 * MEBIBYTE));
    const filling = backend.fill(staged, file, { mediaType: "video/mp4" });
    await expect(filling).rejects.toMatchObject({ kind: "storage.denied" });
    await backend.close();
  });
});

describe("through faults", () => {
  test.each(STORES)(
    "%s: every object is whole, and nothing is left",
    async (_, seed, open) => {
      const subject = await open();
      const backend = withRetries(withDeadlines(subject.backend, { ...DEADLINES, callMs: 20_000 }), QUICK);
      const random = makeRandom(seed);
      // Of their own: the same whatever number of requests a transfer takes. Google's few are below a resumable upload's.
      const sizes = makeRandom(seed * 12_345);
      let faults = 0;
      subject.proxy.decide = () => {
        const fault = chance(random);
        if (fault !== null) faults += 1;
        return fault;
      };
      const keys: string[] = [];
      const left: StagedObject[] = [];
      for (let round = 0; round < TRANSFERS; round++) {
        const key = `folder/object-${round}`;
        keys.push(key);
        // Every fourth has several parts.
        const sizeBytes = Math.floor(sizes() * (round % 4 === 0 ? 12 * MEBIBYTE : 200_000));
        const content = someBytes(sizeBytes, round + 1);
        left.push(...(await upload({ ...subject, backend }, key, content)));
        expect(sha256Of(await download(backend, key))).toBe(sha256Of(content));
      }
      subject.proxy.decide = () => null;
      expect(faults).toBeGreaterThan(TRANSFERS / 2);
      for (const staged of left) await subject.later.abort(staged);
      expect(await subject.leftovers(keys)).toEqual([]);
      expect((await backend.list("", 1000)).map(({ key }) => key).sort()).toEqual([...keys].sort());
      await backend.close();
    },
    TRANSFERS * 30_000,
  );
});

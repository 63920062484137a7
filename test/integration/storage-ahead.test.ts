/** Parts of a file that is still being written, to real stores: what is sent when, and that the object is the file. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { open } from "node:fs/promises";
import { ListPartsCommand, S3Client, UploadPartCommand } from "@aws-sdk/client-s3";
import { BlobServiceClient } from "@azure/storage-blob";
import { Storage } from "@google-cloud/storage";
import { openAzureBackend } from "../../src/storage/azure/azure-backend.ts";
import { openGcsBackend } from "../../src/storage/gcs/gcs-backend.ts";
import { compose, removeParts } from "../../src/storage/gcs/parts.ts";
import type { AheadOptions, StagedObject, StorageBackend } from "../../src/storage/port.ts";
import { openS3Backend } from "../../src/storage/s3/s3-backend.ts";
import { kindOf, makeFile, newOwner, publish, someBytes, stageAndFill } from "../contract/storage-subject.ts";
import { type FaultyProxy, type Seen, startFaultyProxy } from "../support/faulty-proxy.ts";
import { azureConnectionString, startStore } from "../support/stores.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";
import { credentials, s3Options, s3Subject } from "./s3-subject.ts";

const PART = 5 * 1024 * 1024;
const KEY = "a.mp4";

/** A file in a test's hand. */
async function growingFile(workDir: string) {
  const path = await makeFile({ workDir }, "");
  const handle = await open(path, "r+");
  let moved = Promise.withResolvers<void>();
  let whole = false;
  const growing: AheadOptions["growing"] = {
    async next() {
      if (!whole) await moved.promise;
      return whole;
    },
  };
  const tell = (): void => {
    moved.resolve();
    moved = Promise.withResolvers();
  };
  return {
    path,
    growing,
    async write(bytes: Uint8Array, at: number) {
      await handle.write(bytes, 0, bytes.length, at);
      tell();
    },
    async end(sizeBytes: number) {
      await handle.truncate(sizeBytes);
      await handle.close();
      whole = true;
      tell();
    },
  };
}

function box(type: string, sizeBytes: number): Uint8Array {
  const bytes = Buffer.from(someBytes(sizeBytes, 5));
  bytes.writeUInt32BE(sizeBytes, 0);
  bytes.write(type, 4, "latin1");
  return bytes;
}

interface Subject {
  readonly backend: StorageBackend;
  readonly proxy: FaultyProxy;
  /** Of the part that a request puts; 0 for another request. */
  numberOf(seen: Seen): number;
  /** Parts that the store still has of what was never finished. */
  leftParts(staged: StagedObject): Promise<number>;
}

async function minio(): Promise<Subject> {
  const options = await s3Options("minio");
  const proxy = await startFaultyProxy(options.endpoint);
  const client = new S3Client({ endpoint: options.endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  return {
    backend: await openS3Backend({ ...options, endpoint: proxy.url }),
    proxy,
    numberOf: ({ method, url }) => {
      const number = method === "PUT" ? Number(/[?&]partNumber=(\d+)/.exec(url)?.[1] ?? 0) : 0;
      // The owner's mark.
      return number === 10_000 ? 0 : number;
    },
    async leftParts({ key, handle }) {
      const parts = client.send(new ListPartsCommand({ Bucket: options.bucket, Key: key, UploadId: handle }));
      const found = (await parts.catch(() => null))?.Parts ?? [];
      return found.filter(({ PartNumber }) => PartNumber !== 10_000).length;
    },
  };
}

async function azurite(): Promise<Subject> {
  const { url } = await startStore("azurite");
  const proxy = await startFaultyProxy(url);
  const direct = BlobServiceClient.fromConnectionString(azureConnectionString(url));
  const { containerClient } = await direct.createContainer(`ahead-${process.pid}`);
  const access = { connectionString: azureConnectionString(proxy.url) };
  const place = { bucket: containerClient.containerName, prefix: "", readable: true, writable: true };
  return {
    backend: await openAzureBackend({ name: "azure", access, ...place }),
    proxy,
    numberOf({ method, url: path }) {
      const id = method === "PUT" ? new URL(path, url).searchParams.get("blockid") : null;
      return id === null ? 0 : Number(Buffer.from(id, "base64").toString().split("-")[0]);
    },
    async leftParts({ handle }) {
      const list = containerClient.getBlockBlobClient(handle).getBlockList("uncommitted");
      return (await list.catch(() => null))?.uncommittedBlocks?.length ?? 0;
    },
  };
}

async function fakeGcs(): Promise<Subject> {
  const { url } = await startStore("fake-gcs");
  const proxy = await startFaultyProxy(url);
  const name = `ahead-${process.pid}`;
  const direct = new Storage({ apiEndpoint: url, projectId: "test", useAuthWithCustomEndpoint: false });
  await direct.createBucket(name);
  const place = { bucket: name, prefix: "", readable: true, writable: true };
  return {
    backend: await openGcsBackend({
      ...{ name: "gcs", endpoint: proxy.url, keyFilename: null, conditionalWrites: false, ...place },
    }),
    proxy,
    numberOf({ method, url: path }) {
      const object = method === "POST" ? new URL(path, url).searchParams.get("name") : null;
      return Number(/\.part-(\d+)-?/.exec(object ?? "")?.[1] ?? 0);
    },
    async leftParts({ handle }) {
      return (await direct.bucket(name).getFiles({ prefix: handle }))[0].length;
    },
  };
}

describe.each([
  ["minio", minio],
  ["azurite", azurite],
  ["fake-gcs", fakeGcs],
] as const)("what is sent ahead (%s)", (_, open) => {
  let subject: Subject;
  let workDir: string;
  let sent: number[] = [];
  beforeAll(async () => {
    subject = await open();
    workDir = await makeTempDir("ahead");
  });
  afterAll(() => subject.backend.close());

  const watch = (fails: (number: number) => boolean = () => false): void => {
    sent = [];
    subject.proxy.decide = (seen) => {
      const number = subject.numberOf(seen);
      if (number === 0) return null;
      if (fails(number)) return { kind: "status", status: 403 };
      sent.push(number);
      return null;
    };
  };

  /** Writes `before`, waits until `parts` parts are there, then `after` in its place, longer or not, and publishes. */
  async function run(before: Uint8Array, after: Uint8Array, parts: number, fails?: (number: number) => boolean) {
    const { backend } = subject;
    watch(fails);
    const file = await growingFile(workDir);
    const staged = await backend.stage(KEY, newOwner());
    const options = { growing: file.growing, sizeBytesMax: 10 * PART, signal: new AbortController().signal };
    const sending = backend.sendAhead?.(staged, file.path, options);
    for (let at = 0; at < before.length; at += PART) {
      await file.write(before.subarray(at, at + PART), at);
      // What fails is the last to be sent: those that are to arrive do so first.
      if (fails !== undefined) await until(() => sent.length >= Math.min(parts, at / PART), { timeoutMs: 20_000 });
    }
    await until(() => sent.length >= parts, { timeoutMs: 20_000 });
    await file.write(after, 0);
    await file.end(after.length);
    const ahead = await sending;
    const early = [...sent].sort();
    if (ahead === undefined) throw new Error("Nothing can be sent ahead here.");
    watch();
    const filled = await backend.fill(staged, file.path, { mediaType: "video/mp4", ahead });
    expect(await backend.stat(KEY)).toBeNull();
    const late = [...sent].sort();
    expect((await backend.publish(filled, { ifAbsent: false })).outcome).toBe("published");
    const stored = await new Response((await backend.open(KEY)).stream).bytes();
    expect(Buffer.compare(stored, after)).toBe(0);
    const stat = await backend.stat(KEY);
    if (stat !== null) await backend.delete(KEY, stat.identity);
    return { early, late, ahead };
  }

  test("all but the first part and the end of a file that is appended to", async () => {
    const bytes = someBytes(4 * PART + 1_000);
    const after = Buffer.concat([bytes, someBytes(PART, 3)]);
    after.write("its head is written anew at the end", 0);
    const { early, late } = await run(bytes, after, 3);
    // The last write makes room for one more, which is sent if there is time.
    expect(early.slice(0, 3)).toEqual([2, 3, 4]);
    expect([...early, ...late].sort()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(late[0]).toBe(1);
  }, 60_000);

  test("a file whose index is moved to the front at the end", async () => {
    const media = [box("free", 8), someBytes(4 * PART + 1_000)];
    const before = Buffer.concat([box("ftyp", 32), ...media]);
    const after = Buffer.concat([box("ftyp", 32), box("moov", 123_456), ...media]);
    expect(await run(before, after, 3)).toMatchObject({ early: [2, 3, 4], late: [1, 5] });
  }, 60_000);

  test("a file that was begun anew and came out shorter", async () => {
    const [before, after] = [someBytes(5 * PART, 1), someBytes(2 * PART + 7, 2)];
    const { early, late } = await run(before, after, 4);
    expect(early).toEqual([2, 3, 4, 5]);
    expect(late).toEqual([1, 2, 3]);
  }, 60_000);

  test("again, what has changed meanwhile, and what did not get through", async () => {
    const bytes = someBytes(4 * PART);
    const changed = Uint8Array.from(bytes);
    changed[PART + 77] = (changed[PART + 77] ?? 0) ^ 255;
    const { early, late, ahead } = await run(bytes, changed, 1, (number) => number === 3);
    expect(early).toContain(2);
    expect(late.slice(0, 3)).toEqual([1, 2, 3]);
    expect(ahead.problem).not.toBeNull();
  }, 60_000);

  test("what was given up as unanswered, and arrives after the part was sent again, is no part of the object", async () => {
    const { backend } = subject;
    const [before, after] = [someBytes(3 * PART + 1_000, 1), someBytes(3 * PART + 1_000, 2)];
    const [release, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let tries = 0;
    subject.proxy.decide = (seen) => {
      if (subject.numberOf(seen) !== 2 || tries++ > 0) return null;
      return { kind: "late", until: release.promise, answered: answered.resolve, breaks: true };
    };
    const file = await growingFile(workDir);
    const staged = await backend.stage(KEY, newOwner());
    const options = { growing: file.growing, sizeBytesMax: 10 * PART, signal: new AbortController().signal };
    const sending = backend.sendAhead?.(staged, file.path, options);
    await file.write(before, 0);
    await until(() => tries > 0, { timeoutMs: 20_000 });
    await file.write(after, 0);
    await file.end(after.length);
    const ahead = await sending;
    if (ahead === undefined) throw new Error("Nothing can be sent ahead here.");
    // What was given up arrives when the store has what was sent for it, and the last part after that.
    subject.proxy.decide = (seen) => {
      const number = subject.numberOf(seen);
      if (number === 2) return { kind: "late", until: Promise.resolve(), answered: release.resolve };
      return number === 4 ? { kind: "late", until: answered.promise } : null;
    };
    const filling = backend.fill(staged, file.path, { mediaType: "video/mp4", ahead });
    if (backend.properties.type === "s3") {
      expect(await kindOf(filling)).toBe("storage.unavailable");
    } else {
      expect(await publish(backend, await filling)).toMatchObject({ outcome: "published" });
      expect(Buffer.compare(await new Response((await backend.open(KEY)).stream).bytes(), after)).toBe(0);
    }
    await backend.abort(staged);
  }, 60_000);

  test("nothing of it stays when it is given up", async () => {
    const { backend } = subject;
    const [release, arrived] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    subject.proxy.decide = (seen) =>
      subject.numberOf(seen) === 3 ? { kind: "late", until: release.promise, answered: arrived.resolve } : null;
    const file = await growingFile(workDir);
    const staged = await backend.stage(KEY, newOwner());
    const giveUp = new AbortController();
    const options = { growing: file.growing, sizeBytesMax: 4 * PART, signal: giveUp.signal };
    const sending = backend.sendAhead?.(staged, file.path, options);
    sending?.catch(() => {});
    await file.write(someBytes(3 * PART), 0);
    await until(async () => (await subject.leftParts(staged)) > 0, { timeoutMs: 20_000 });
    giveUp.abort(new Error("given up"));
    // What is on its way goes on and gets there.
    setImmediate(release.resolve);
    await file.end(3 * PART);
    await expect(sending).rejects.toThrow();
    await backend.abort(staged);
    await arrived.promise;
    expect(await subject.leftParts(staged)).toBe(0);
  }, 60_000);
});

test("a part that was replaced while an upload to S3 waited to be published is not published", async () => {
  const subject = await s3Subject("minio");
  const { backend } = subject;
  const { endpoint, bucket } = subject.options;
  if (endpoint === null || bucket === null) throw new Error("The subject has no place.");
  const content = someBytes(PART + 1_000, 1);
  const staged = await stageAndFill(subject, KEY, content);
  const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  const send = (bytes: Uint8Array) =>
    client.send(
      new UploadPartCommand({ Bucket: bucket, Key: KEY, UploadId: staged.handle, PartNumber: 2, Body: bytes }),
    );
  await send(someBytes(1_000, 2));
  expect(await kindOf(publish(backend, staged))).toBe("storage.unavailable");
  await send(content.subarray(PART));
  expect(await publish(backend, staged)).toMatchObject({ outcome: "published" });
  client.destroy();
  await backend.close();
});

test("nothing is sent ahead where a part cannot be sent again", async () => {
  const { backend } = await s3Subject("rclone");
  expect(backend.sendAhead).toBeUndefined();
  await backend.close();
});

test("nothing is sent ahead to S3 where parts have no sums, by which a late one is told", async () => {
  const { backend } = await s3Subject("minio", { checksums: false });
  expect(backend.sendAhead).toBeUndefined();
  await backend.close();
});

test("more parts than Google composes at once become one object all the same, and none of them stays", async () => {
  const { url } = await startStore("fake-gcs");
  const storage = new Storage({ apiEndpoint: url, projectId: "test", useAuthWithCustomEndpoint: false });
  const [bucket] = await storage.createBucket(`compose-${process.pid}`);
  const names = Array.from({ length: 11 }, (_, number) => `a.part-${String(number).padStart(5, "0")}`);
  for (const name of names) await bucket.file(name).save(`${name}\n`, { resumable: false });
  const whole = await compose(bucket, names, "a", 3);
  expect((await whole.download())[0].toString()).toBe(names.map((name) => `${name}\n`).join(""));
  expect(await removeParts(bucket, "a")).toBe(true);
  expect((await bucket.getFiles())[0].map(({ name }) => name)).toEqual(["a"]);
});

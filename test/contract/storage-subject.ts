/** What the storage suites need of an adapter's test, and the steps that they repeat. */
import { expect } from "bun:test";
import { createHash } from "node:crypto";
import { mkdir, open, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { RendiffError } from "../../src/errors.ts";
import type { PublishOutcome, StagedBytes, StagedObject, StorageBackend } from "../../src/storage/port.ts";

export interface StorageSubject {
  /** Over an empty storage of its own. The suite closes it. */
  readonly backend: StorageBackend;
  /** The same storage, opened as by another process. The suite closes it. */
  reopen(): Promise<StorageBackend>;
  /** A folder for work files. Absolute. */
  readonly workDir: string;
}

export interface Owner {
  readonly jobId: string;
  readonly leaseToken: number;
}

export const newOwner = (): Owner => ({ jobId: Bun.randomUUIDv7(), leaseToken: 1 });

export const sha256Of = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** `length` bytes that differ from place to place and from seed to seed. */
export function someBytes(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0, x = seed; i < length; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

let files = 0;

export async function makeFile(
  subject: Pick<StorageSubject, "workDir">,
  content: string | Uint8Array,
): Promise<string> {
  const path = join(subject.workDir, `out-${files++}`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return path;
}

/** A file of zeros that takes no room on the disk. */
export async function makeLargeFile(subject: StorageSubject, sizeBytes: number): Promise<string> {
  const path = await makeFile(subject, "");
  const handle = await open(path, "r+");
  await handle.truncate(sizeBytes);
  await handle.close();
  return path;
}

export async function stageAndFill(
  subject: StorageSubject,
  key: string,
  content: string | Uint8Array,
  owner: Owner = newOwner(),
): Promise<StagedBytes> {
  const staged = await subject.backend.stage(key, owner);
  return await subject.backend.fill(staged, await makeFile(subject, content), { mediaType: "video/mp4" });
}

export const publish = (backend: StorageBackend, staged: StagedBytes, ifAbsent = false): Promise<PublishOutcome> =>
  backend.publish(staged, { ifAbsent });

/** The identity of the published object. */
export async function put(subject: StorageSubject, key: string, content: string | Uint8Array): Promise<string> {
  const outcome = await publish(subject.backend, await stageAndFill(subject, key, content));
  if (outcome.outcome !== "published") throw new Error(`"${key}" was not published: ${outcome.outcome}`);
  return outcome.identity;
}

export async function read(backend: StorageBackend, key: string, startByte?: number, endByte?: number) {
  const range = { ...(startByte === undefined ? {} : { startByte }), ...(endByte === undefined ? {} : { endByte }) };
  const { stream } = await backend.open(key, range);
  return await new Response(stream).text();
}

/** The kind of the RendiffError that `promise` rejects with. */
export async function kindOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RendiffError) return error.kind;
    throw error;
  }
  throw new Error("It should have been refused.");
}

export const keysOf = async (backend: StorageBackend, prefix = ""): Promise<string[]> =>
  (await backend.list(prefix, 1000)).map(({ key }) => key);

export const withoutHandle = (staged: StagedObject): StagedObject => ({ ...staged, handle: "" });

/** Looks between two collections: a few tens of megabytes of chunks. */
const LOOKS_PER_COLLECTION = 32;

/**
 * How much this process grows at most while `work` runs, as seen at each of its `look`s. Chunks that nobody holds any more
 * are collected now and then: how long they would lie about depends on what the tests before have left, and what is held
 * stays.
 */
export async function growthBytes(work: (look: () => void) => Promise<unknown>): Promise<number> {
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  let peak = before;
  let looks = 0;
  await work(() => {
    looks += 1;
    if (looks % LOOKS_PER_COLLECTION === 0) Bun.gc(true);
    peak = Math.max(peak, process.memoryUsage.rss());
  });
  expect(looks).toBeGreaterThan(LOOKS_PER_COLLECTION);
  return peak - before;
}

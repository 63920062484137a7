/** What every storage backend does that copies its own objects (`fillFrom`). */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { open as openFile } from "node:fs/promises";
import { longTest } from "../support/gated.ts";
import {
  keysOf,
  kindOf,
  makeLargeFile,
  newOwner,
  publish,
  put,
  read,
  type StorageSubject,
  sha256Of,
  someBytes,
} from "./storage-subject.ts";

const KEY = "folder/a.mp4";
const SOURCE = "folder/source.mp4";

/** Beyond what S3 copies in one request. */
const LARGE_BYTES = 5_500_000_000;
/** Of the S3 backend's copied parts two, and no whole number of them. */
const SEVERAL_BYTES = 40_000_000;
const LARGE_TIMEOUT_MS = 3_600_000;

/** Of its own at the beginning, in the middle and at the end. */
async function makeSparseFile(subject: StorageSubject, sizeBytes: number, marks: readonly number[]): Promise<string> {
  const path = await makeLargeFile(subject, sizeBytes);
  const handle = await openFile(path, "r+");
  for (const at of marks) await handle.write(markAt(at), at);
  await handle.close();
  return path;
}

const markAt = (at: number): string => `mark at ${at}`.padEnd(MARK_BYTES);
const MARK_BYTES = 24;

/** `open` gives an empty storage of its own at each call; `holdsLarge`: one that does not keep its objects in memory. */
export function copyingContract(name: string, open: () => Promise<StorageSubject>, holdsLarge = true): void {
  let subject: StorageSubject;
  const current = (): StorageSubject => subject;
  beforeEach(async () => {
    subject = await open();
  });
  afterEach(() => subject.backend.close());

  describe(`copying within: ${name}`, () => {
    const content = someBytes(200_000, 7);
    const sourceOf = (identity: string) => ({
      ...{ key: SOURCE, identity, sizeBytes: content.length },
      sha256: sha256Of(content),
    });

    test.each([KEY, SOURCE])("stages its bytes as the job's own, and publishes them as %p", async (key) => {
      const { backend } = current();
      const identity = await put(current(), SOURCE, content);
      const staged = await backend.stage(key, newOwner());
      const bytes = await backend.fillFrom?.(staged, sourceOf(identity), { mediaType: "video/mp4" });
      if (bytes === undefined) throw new Error("It copies nothing.");
      expect(bytes).toMatchObject({ ...staged, sizeBytes: content.length, sha256: sha256Of(content) });
      expect(await keysOf(backend)).toEqual([SOURCE]);
      expect(await backend.settle(JSON.parse(JSON.stringify(bytes)))).toEqual({ state: "staged" });
      const outcome = await publish(backend, bytes);
      expect(await backend.settle(bytes)).toMatchObject({ state: "published" });
      expect(await read(backend, key)).toBe(new TextDecoder().decode(content));
      expect(await keysOf(backend)).toEqual([...new Set([key, SOURCE])]);
      // Each is an object of its own: one can be deleted, and the other is still there.
      if (key === SOURCE || outcome.outcome !== "published") return;
      expect(await backend.delete(SOURCE, identity)).toBe(true);
      expect((await backend.stat(key))?.sizeBytes).toBe(content.length);
    });

    test("refuses another object than was meant, and leaves nothing", async () => {
      const { backend } = current();
      const identity = await put(current(), SOURCE, content);
      const other = await put(current(), SOURCE, someBytes(200_000, 8));
      const staged = await backend.stage(KEY, newOwner());
      const fill = (source: ReturnType<typeof sourceOf>) =>
        kindOf(backend.fillFrom?.(staged, source, { mediaType: "video/mp4" }) ?? Promise.resolve());
      expect(await fill(sourceOf(identity))).toBe("input.changed");
      expect(await fill({ ...sourceOf(other), key: "folder/none.mp4" })).toBe("input.changed");
      await backend.abort(staged);
      expect(await keysOf(backend)).toEqual([SOURCE]);
    });

    const copies = async (sizeBytes: number): Promise<void> => {
      const { backend } = current();
      const marks = [0, Math.floor(sizeBytes / 2), sizeBytes - MARK_BYTES];
      const path = await makeSparseFile(current(), sizeBytes, marks);
      const source = await backend.fill(await backend.stage(SOURCE, newOwner()), path, { mediaType: "video/mp4" });
      const outcome = await publish(backend, source);
      if (outcome.outcome !== "published") throw new Error("The source was not published.");
      const { sha256 } = source;
      const staged = await backend.stage(KEY, newOwner());
      const from = { key: SOURCE, identity: outcome.identity, sizeBytes, sha256 };
      const copied = await backend.fillFrom?.(staged, from, { mediaType: "video/mp4" });
      if (copied === undefined) throw new Error("It copies nothing.");
      await publish(backend, copied);
      expect((await backend.stat(KEY))?.sizeBytes).toBe(sizeBytes);
      for (const at of marks) expect(await read(backend, KEY, at, at + MARK_BYTES)).toBe(markAt(at));
    };
    test("copies what takes several requests", () => copies(SEVERAL_BYTES), 60_000);
    if (holdsLarge) longTest("copies what is larger than 5 GiB", () => copies(LARGE_BYTES), LARGE_TIMEOUT_MS);
  });
}

/** What every storage backend does that copies its own objects (`fillFrom`). */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  keysOf,
  kindOf,
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

/** `open` gives an empty storage of its own at each call. */
export function copyingContract(name: string, open: () => Promise<StorageSubject>): void {
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
  });
}

/**
 * What every storage backend does (src/storage/port.ts says why): reading, listing, deleting, names. Publishing has its own
 * file, which this one calls. Tests of what a backend cannot do are replaced by tests of how it says so.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { BackendProperties, StorageBackend } from "../../src/storage/port.ts";
import { testEnv } from "../support/env.ts";
import { publishingContract } from "./storage-publishing.contract.ts";
import {
  growthBytes,
  keysOf,
  kindOf,
  makeLargeFile,
  newOwner,
  put,
  read,
  type StorageSubject,
  sha256Of,
  someBytes,
  stageAndFill,
} from "./storage-subject.ts";

const LARGE_BYTES = testEnv().long ? 2_000_000_000 : 192 * 1024 * 1024;
const LARGE_TIMEOUT_MS = testEnv().long ? 900_000 : 60_000;
const GROWTH_BYTES_MAX = 48 * 1024 * 1024;
/** Three parts in flight, what an SDK holds beside them, and its code, which is loaded meanwhile. */
const REMOTE_GROWTH_BYTES_MAX = 100 * 1024 * 1024;

export const ODD_NAMES = [
  "a name with spaces.mp4",
  "quotes ' and \" and `.mp4",
  "new\nline.mp4",
  "-leading-dash.mp4",
  "ünïcödé 日本語 🎬.mp4",
  "percent %41 100%.mp4",
  "a?b#c&d=e;f.mp4",
  "$(id) `id` $HOME.mp4",
  "...",
  " space at both ends ",
  "*[a]{b}.mp4",
  `${"n".repeat(251)}.mp4`,
  `${"deep/".repeat(40)}file`,
];

const BAD_KEYS = [
  "",
  "/etc/passwd",
  "../outside",
  "a/../../outside",
  "a/..",
  "./a",
  "a/./b",
  "a//b",
  "a/",
  "a\\..\\b",
  "nul\0",
  "esc\u001b[0m",
  "\ud800",
  `${"n".repeat(256)}`,
  `${"deep/".repeat(300)}file`,
  ".rendiff-mine",
  "a/.RENDIFF-b/c",
];

/** `open` gives an empty storage of its own at each call; `properties` are those of its backend. */
export function storageContract(
  name: string,
  properties: BackendProperties,
  open: () => Promise<StorageSubject>,
): void {
  let subject: StorageSubject;
  let backend: StorageBackend;

  describe(`storage: ${name}`, () => {
    beforeEach(async () => {
      subject = await open();
      backend = subject.backend;
    });
    afterEach(() => backend.close());

    test("has the properties that it is tested for", () => {
      expect(backend.properties).toEqual(properties);
    });

    describe("stat and open", () => {
      test("nothing is null, and cannot be opened", async () => {
        expect(await backend.stat("none.mp4")).toBeNull();
        expect(await backend.stat("no/such/folder/none.mp4")).toBeNull();
        expect(await kindOf(backend.open("none.mp4"))).toBe("input.not_found");
        expect(await kindOf(backend.open("no/such/folder/none.mp4"))).toBe("input.not_found");
      });

      test("the object's size, time and identity", async () => {
        const before = Date.now();
        const identity = await put(subject, "folder/a.mp4", "hello");
        const stat = await backend.stat("folder/a.mp4");
        expect(stat).toMatchObject({ sizeBytes: 5, identity });
        // A store's clock may be another, and some keep whole seconds.
        expect(Math.abs((stat?.modifiedAt.getTime() ?? 0) - before)).toBeLessThan(60_000);
        const opened = await backend.open("folder/a.mp4");
        expect(opened.stat).toEqual(stat as NonNullable<typeof stat>);
        expect(await new Response(opened.stream).text()).toBe("hello");
      });

      test.each([
        [0, 10, "0123456789"],
        [3, undefined, "3456789"],
        [undefined, 4, "0123"],
        [2, 5, "234"],
        [9, 10, "9"],
        [5, 5, ""],
        [4, 100, "456789"],
        [10, undefined, ""],
        [50, 60, ""],
      ])("bytes %p to %p", async (start, end, expected) => {
        await put(subject, "digits", "0123456789");
        expect(await read(backend, "digits", start, end)).toBe(expected);
      });

      test("an empty object", async () => {
        await put(subject, "empty", "");
        expect(await backend.stat("empty")).toMatchObject({ sizeBytes: 0 });
        expect(await read(backend, "empty")).toBe("");
      });

      test("every byte, over many chunks", async () => {
        const bytes = someBytes(3_000_001);
        await put(subject, "bytes", bytes);
        const { stream } = await backend.open("bytes");
        expect(sha256Of(await new Response(stream).bytes())).toBe(sha256Of(bytes));
      });

      test("only the object that was meant", async () => {
        const identity = await put(subject, "a.mp4", "one");
        const opened = await backend.open("a.mp4", { ifIdentity: identity });
        expect(await new Response(opened.stream).text()).toBe("one");
        const next = await put(subject, "a.mp4", "two");
        expect(next).not.toBe(identity);
        expect(await kindOf(backend.open("a.mp4", { ifIdentity: identity }))).toBe("input.changed");
      });

      test("a stream that is cancelled or aborted ends, and the object stays usable", async () => {
        const bytes = someBytes(2_000_000);
        await put(subject, "a.mp4", bytes);
        const { stream } = await backend.open("a.mp4");
        const reader = stream.getReader();
        await reader.read();
        await reader.cancel();
        const controller = new AbortController();
        const aborted = (await backend.open("a.mp4", { signal: controller.signal })).stream.getReader();
        await aborted.read();
        controller.abort(new Error("enough"));
        const drain = async (): Promise<void> => {
          while (!(await aborted.read()).done);
        };
        await expect(drain()).rejects.toThrow("enough");
        await expect(backend.open("a.mp4", { signal: controller.signal })).rejects.toThrow("enough");
        expect((await new Response((await backend.open("a.mp4")).stream).bytes()).length).toBe(bytes.length);
      });

      if (properties.inPlace) {
        test("inPlace: the file holds the bytes", async () => {
          await put(subject, "folder/a.mp4", "hello");
          const path = await backend.localPath("folder/a.mp4");
          expect(await Bun.file(path ?? "").text()).toBe("hello");
          expect(await kindOf(backend.localPath("none"))).toBe("input.not_found");
        });
      } else {
        test("not inPlace: there is no local path", async () => {
          await put(subject, "a.mp4", "hello");
          expect(await backend.localPath("a.mp4")).toBeNull();
        });
      }
    });

    test(
      "a large file goes in and out in bounded memory",
      async () => {
        const path = await makeLargeFile(subject, LARGE_BYTES);
        const staged = await backend.stage("large", newOwner());
        let seen = 0;
        const growth = await growthBytes(async (look) => {
          const onBytes = (totalBytes: number): void => {
            seen = totalBytes;
            look();
          };
          await backend.publish(await backend.fill(staged, path, { mediaType: "video/mp4", onBytes }), {
            ifAbsent: false,
          });
          let received = 0;
          for await (const chunk of (await backend.open("large")).stream) {
            received += chunk.length;
            look();
          }
          expect(received).toBe(LARGE_BYTES);
        });
        expect(seen).toBe(LARGE_BYTES);
        expect(growth).toBeLessThan(properties.inPlace ? GROWTH_BYTES_MAX : REMOTE_GROWTH_BYTES_MAX);
      },
      LARGE_TIMEOUT_MS,
    );

    describe("names", () => {
      test.each(ODD_NAMES)("%j is a name like any other", async (key) => {
        await put(subject, key, key);
        expect(await backend.stat(key)).not.toBeNull();
        expect(await read(backend, key)).toBe(key);
        expect(await keysOf(backend)).toEqual([key]);
      });

      test.each(BAD_KEYS)("%j is refused everywhere", async (key) => {
        const staged = { ...(await backend.stage("a", newOwner())), key };
        const bytes = { ...staged, sizeBytes: 0, sha256: "", fingerprint: "" };
        const calls = [
          backend.stat(key),
          backend.open(key),
          properties.inPlace ? backend.localPath(key) : backend.stat(key),
          backend.stage(key, newOwner()),
          backend.fill(staged, subject.workDir, { mediaType: "video/mp4" }),
          backend.publish(bytes, { ifAbsent: false }),
          backend.settle(bytes),
          backend.abort(staged),
          backend.delete(key, "identity"),
        ];
        expect(await Promise.all(calls.map(kindOf))).toEqual(calls.map(() => "request.invalid"));
      });
    });

    describe("list", () => {
      const KEYS = ["a", "a.b", "a/b", "a/c/d", "a0", "b/x", "é", "日", "🎬"];

      test("in the order of the bytes, by prefix, page by page", async () => {
        for (const key of [...KEYS].reverse()) await put(subject, key.replace(/^a$/, "A"), key);
        const all = ["A", ...KEYS.slice(1)];
        expect(await keysOf(backend)).toEqual(all);
        expect(await keysOf(backend, "a")).toEqual(["a.b", "a/b", "a/c/d", "a0"]);
        expect(await keysOf(backend, "a/")).toEqual(["a/b", "a/c/d"]);
        expect(await keysOf(backend, "a/c/")).toEqual(["a/c/d"]);
        expect(await keysOf(backend, "../")).toEqual([]);
        for (const size of [1, 2, 4]) {
          const paged: string[] = [];
          for (let after: string | undefined; ; after = paged.at(-1)) {
            const page = await backend.list("", size, after);
            paged.push(...page.map(({ key }) => key));
            if (page.length < size) break;
          }
          expect(paged).toEqual(all);
        }
      });

      test("says what stat says, and hides what is staged", async () => {
        await put(subject, "folder/a.mp4", "hello");
        await stageAndFill(subject, "folder/b.mp4", "hidden");
        await backend.stage("folder/c.mp4", newOwner());
        const [listed, ...others] = await backend.list("", 10);
        expect(others).toEqual([]);
        const { md5: _, ...stat } = (await backend.stat("folder/a.mp4")) ?? {};
        expect(listed?.stat).toMatchObject(stat);
      });
    });

    describe("delete", () => {
      test("the very object, once", async () => {
        const identity = await put(subject, "a.mp4", "one");
        expect(await backend.delete("a.mp4", "another")).toBe(false);
        expect(await backend.delete("a.mp4", identity)).toBe(true);
        expect(await backend.delete("a.mp4", identity)).toBe(false);
        expect(await backend.stat("a.mp4")).toBeNull();
      });

      test("not the object that took its place", async () => {
        const identity = await put(subject, "a.mp4", "one");
        await put(subject, "a.mp4", "two");
        expect(await backend.delete("a.mp4", identity)).toBe(false);
        expect(await read(backend, "a.mp4")).toBe("two");
      });
    });

    test("knows how much room there is, or that the question has no meaning", async () => {
      const free = await backend.freeBytes();
      expect(free === null || free > 0).toBe(true);
    });

    if (properties.writable) publishingContract(properties, () => subject);
  });
}

/** What only a folder has: links that lead out, pipes, folders in the way, other names of one file, rights. */
import { beforeEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { link, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openLocalBackend } from "../../src/storage/local/local-backend.ts";
import type { StorageBackend } from "../../src/storage/port.ts";
import { makeStorageRegistry } from "../../src/storage/registry.ts";
import { requireUnchanged, sameObject } from "../../src/storage/same-object.ts";
import {
  kindOf,
  makeFile,
  newOwner,
  publish,
  put,
  read,
  type StorageSubject,
  stageAndFill,
} from "../contract/storage-subject.ts";
import { afterFile } from "../support/cleanup.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { until } from "../support/until.ts";

const SECRET = "not yours";

let folder: string;
let root: string;
let backend: StorageBackend;
let subject: StorageSubject;

beforeEach(async () => {
  folder = await makeTempDir("storage");
  root = join(folder, "root");
  backend = await openLocalBackend({ name: "local", root });
  subject = { backend, workDir: join(folder, "work"), reopen: () => openLocalBackend({ name: "local", root }) };
  await mkdir(join(folder, "outside"));
  await writeFile(join(folder, "outside/secret"), SECRET);
});

async function otherDisk(disk: string): Promise<string> {
  const path = await mkdtemp(join(disk, "rendiff-storage-"));
  afterFile(() => rm(path, { recursive: true, force: true }));
  return path;
}

const filesBelow = async (path: string): Promise<string[]> => (await readdir(path, { recursive: true })).sort();

describe("symbolic links", () => {
  const LINKS: [string, string, string][] = [
    ["a file outside", "../outside/secret", "link"],
    ["a folder outside", "../outside", "link/secret"],
    ["an absolute path", "/proc/self/environ", "link"],
    ["the root of the system", "/", "link/etc/passwd"],
  ];

  test.each(LINKS)("to %s are not followed for reading", async (_, target, key) => {
    await symlink(target, join(root, "link"));
    expect(await kindOf(backend.stat(key))).toBe("storage.denied");
    expect(await kindOf(backend.open(key))).toBe("storage.denied");
    expect(await kindOf(backend.localPath(key))).toBe("storage.denied");
    expect(await backend.list("", 10)).toEqual([]);
  });

  test("to a folder outside are not followed for writing, nor for deleting", async () => {
    await symlink("../outside", join(root, "link"));
    const { ino, size, mtimeNs } = await lstat(join(folder, "outside/secret"), { bigint: true });
    expect(await kindOf(backend.stage("link/new", newOwner()))).toBe("storage.denied");
    expect(await kindOf(backend.stage("link/new/deep/file", newOwner()))).toBe("storage.denied");
    expect(await kindOf(backend.delete("link/secret", `${ino}:${size}:${mtimeNs}`))).toBe("storage.denied");
    expect(await filesBelow(join(folder, "outside"))).toEqual(["secret"]);
  });

  test("put in a folder's place between staging and publishing are not followed either", async () => {
    const bytes = await stageAndFill(subject, "folder/new", "hello");
    await rename(join(root, "folder"), join(root, "moved"));
    await symlink("../outside", join(root, "folder"));
    expect(await kindOf(publish(backend, bytes))).toBe("storage.denied");
    expect(await kindOf(backend.settle(bytes))).toBe("storage.denied");
    expect(await kindOf(backend.abort(bytes))).toBe("storage.denied");
    expect(await filesBelow(join(folder, "outside"))).toEqual(["secret"]);
  });

  test("where an output is to be are replaced, not written through", async () => {
    await symlink("../outside/secret", join(root, "link"));
    await put(subject, "link", "mine");
    expect(await readFile(join(folder, "outside/secret"), "utf8")).toBe(SECRET);
    expect((await lstat(join(root, "link"))).isFile()).toBe(true);
    await symlink("nowhere", join(root, "dangling"));
    expect(await publish(backend, await stageAndFill(subject, "dangling", "mine"), true)).toEqual({
      outcome: "exists",
    });
  });

  test("that stay inside are followed", async () => {
    await put(subject, "real/a.mp4", "hello");
    await symlink("real", join(root, "folder"));
    await symlink("real/a.mp4", join(root, "file"));
    expect(await read(backend, "folder/a.mp4")).toBe("hello");
    expect(await read(backend, "file")).toBe("hello");
    expect(await backend.localPath("file")).toBe(await backend.localPath("real/a.mp4"));
    await put(subject, "folder/b.mp4", "new");
    expect(await read(backend, "real/b.mp4")).toBe("new");
  });

  test("that lead in circles or nowhere are no objects", async () => {
    await symlink("circle", join(root, "circle"));
    await symlink("nowhere", join(root, "dangling"));
    expect(await kindOf(backend.open("circle"))).toBe("storage.denied");
    expect(await backend.stat("dangling")).toBeNull();
  });

  test("a folder that changes into a link and back all the time never gives the outside away", async () => {
    await put(subject, "folder/secret", "mine");
    await symlink("../outside", join(root, "trap"));
    let swapping = true;
    const swap = (async () => {
      while (swapping) {
        await rename(join(root, "folder"), join(root, "aside")).catch(() => {});
        await rename(join(root, "trap"), join(root, "folder")).catch(() => {});
        await rename(join(root, "folder"), join(root, "trap")).catch(() => {});
        await rename(join(root, "aside"), join(root, "folder")).catch(() => {});
      }
    })();
    const seen = new Set<string>();
    // The two may go in step for a while.
    const saw = () => seen.has("mine") && seen.size > 1;
    for (let i = 0; i < 2000 || !saw(); i++) {
      seen.add(await read(backend, "folder/secret").catch((error) => error.kind));
    }
    swapping = false;
    await swap;
    expect(seen.has(SECRET)).toBe(false);
  });
});

describe("what is no regular file", () => {
  test("a pipe is refused at once", async () => {
    Bun.spawnSync(["mkfifo", join(root, "pipe")]);
    expect(existsSync(join(root, "pipe"))).toBe(true);
    const calls = [backend.stat("pipe"), backend.open("pipe"), backend.localPath("pipe")];
    expect(await Promise.all(calls.map(kindOf))).toEqual(calls.map(() => "input.unreadable"));
    expect(await backend.list("", 10)).toEqual([]);
  });

  test("a folder is not an input, and not an output", async () => {
    await mkdir(join(root, "folder"));
    expect(await kindOf(backend.stat("folder"))).toBe("input.unreadable");
    expect(await kindOf(backend.open("folder"))).toBe("input.unreadable");
    expect(await kindOf(backend.stage("folder", newOwner()))).toBe("output.conflict");
    expect(await filesBelow(root)).toEqual(["folder"]);
  });

  test("a folder that appears where the output is to be stops the publishing and loses nothing", async () => {
    const bytes = await stageAndFill(subject, "a.mp4", "hello");
    await mkdir(join(root, "a.mp4"));
    expect(await kindOf(publish(backend, bytes))).toBe("output.conflict");
    expect(await publish(backend, bytes, true)).toEqual({ outcome: "exists" });
    expect(await backend.settle(bytes)).toEqual({ state: "staged" });
    await rm(join(root, "a.mp4"), { recursive: true });
    expect(await publish(backend, bytes)).toMatchObject({ outcome: "published" });
  });

  test("a file cannot be a folder of an output", async () => {
    await put(subject, "file", "hello");
    expect(await kindOf(backend.stage("file/a.mp4", newOwner()))).toBe("output.conflict");
    expect(await kindOf(backend.stage("file/deep/a.mp4", newOwner()))).toBe("output.conflict");
    expect(await backend.stat("file/a.mp4")).toBeNull();
  });

  test("a link in the place of FFmpeg's output is not published", async () => {
    const staged = await backend.stage("a.mp4", newOwner());
    await mkdir(subject.workDir, { recursive: true });
    await symlink(join(folder, "outside/secret"), join(subject.workDir, "out"));
    expect(await kindOf(backend.fill(staged, join(subject.workDir, "out"), { mediaType: "video/mp4" }))).toBe(
      "output.invalid",
    );
  });

  test("an output that has a second name is copied, so that nobody writes to it through that name", async () => {
    const staged = await backend.stage("a.mp4", newOwner());
    const file = await makeFile(subject, "hello");
    await link(file, `${file}-again`);
    await publish(backend, await backend.fill(staged, file, { mediaType: "video/mp4" }));
    await writeFile(`${file}-again`, "changed");
    expect(await read(backend, "a.mp4")).toBe("hello");
  });
});

describe("leaves nothing behind", () => {
  test("an abort takes away the folders that were made, and only those", async () => {
    await mkdir(join(root, "before"));
    const staged = await backend.stage("before/new/newer/a.mp4", newOwner());
    await backend.abort(staged);
    expect(await filesBelow(root)).toEqual(["before"]);
    const [one, two] = [await backend.stage("new/a", newOwner()), await backend.stage("new/b", newOwner())];
    await backend.abort(one);
    await publish(backend, await backend.fill(two, await makeFile(subject, "b"), { mediaType: "video/mp4" }));
    expect(await filesBelow(root)).toEqual(["before", "new", "new/b"]);
  });

  test("staging and aborting in one new folder do not disturb each other", async () => {
    const attempts = Array.from({ length: 16 }, async (_, i) => {
      for (let n = 0; n < 50; n++) await backend.abort(await backend.stage(`new/folder/${i}`, newOwner()));
    });
    await Promise.all(attempts);
    expect((await filesBelow(root)).filter((path) => path.includes(".rendiff-"))).toEqual([]);
  });

  test("a fill that failed has given its bytes back before anyone aborts", async () => {
    for (const disk of [subject.workDir, "/dev/shm"].filter((path) => path === subject.workDir || existsSync(path))) {
      const controller = new AbortController();
      const workDir = disk === subject.workDir ? disk : await otherDisk(disk);
      const file = await makeFile({ ...subject, workDir }, "x".repeat(3_000_000));
      const staged = await backend.stage("a", newOwner());
      const onBytes = (): void => controller.abort(new Error("cancelled"));
      const filling = backend.fill(staged, file, { mediaType: "", signal: controller.signal, onBytes });
      await expect(filling).rejects.toThrow("cancelled");
      expect(await filesBelow(root)).toEqual([]);
    }
  });

  test("a crash between the link and the unlink of a publishing is rolled forward", async () => {
    for (const ifAbsent of [true, false]) {
      const key = `a-${ifAbsent}`;
      const bytes = await stageAndFill(subject, key, "hello");
      const [, hidden = ""] = bytes.handle.split(":");
      await link(join(root, hidden), join(root, key));
      expect(await backend.settle(bytes)).toMatchObject({ state: "published" });
      expect(await publish(backend, bytes, ifAbsent)).toMatchObject({ outcome: "published" });
      expect((await stat(join(root, key))).nlink).toBe(1);
    }
    expect(await filesBelow(root)).toEqual(["a-false", "a-true"]);
  });

  test("streams close their files", async () => {
    if (!existsSync("/proc/self/fd")) return;
    const openFiles = async (): Promise<number> => (await readdir("/proc/self/fd")).length;
    await put(subject, "a", "x".repeat(1_000_000));
    const before = await openFiles();
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController();
      const { stream } = await backend.open("a", { signal: controller.signal });
      if (i % 3 === 0) await new Response(stream).text();
      if (i % 3 === 1) await stream.cancel();
      if (i % 3 === 2) controller.abort();
      await backend.open("a", { ifIdentity: "another" }).catch(() => {});
    }
    await until(async () => (await openFiles()) <= before, { what: "the files to be closed" });
  });
});

describe("sameObject", () => {
  const same = async (a: string, b: string): Promise<boolean> => {
    const other = await openLocalBackend({ name: "other", root });
    const registry = makeStorageRegistry([backend, other]);
    const ref = (key: string) => ({
      backend: key.startsWith("other:") ? "other" : "local",
      key: key.replace("other:", ""),
    });
    return await sameObject(registry, ref(a), ref(b));
  };

  test("sees through other names", async () => {
    await put(subject, "a.mp4", "hello");
    await link(join(root, "a.mp4"), join(root, "hard.mp4"));
    await symlink("a.mp4", join(root, "soft.mp4"));
    for (const key of ["a.mp4", "hard.mp4", "soft.mp4", "other:a.mp4"]) expect(await same("a.mp4", key)).toBe(true);
    expect(await same("none", "none")).toBe(true);
  });

  test("and tells apart what is not the same", async () => {
    await put(subject, "a.mp4", "hello");
    await put(subject, "b.mp4", "hello");
    await symlink("nowhere", join(root, "dangling"));
    for (const key of ["b.mp4", "none", "dangling"]) expect(await same("a.mp4", key)).toBe(false);
    expect(await same("none", "neither")).toBe(false);
  });
});

test("requireUnchanged notices new bytes and a missing object", async () => {
  const identity = await put(subject, "a.mp4", "hello");
  await requireUnchanged(backend, "a.mp4", identity);
  await writeFile(join(root, "a.mp4"), "HELLO");
  expect(await kindOf(requireUnchanged(backend, "a.mp4", identity))).toBe("input.changed");
  await rm(join(root, "a.mp4"));
  expect(await kindOf(requireUnchanged(backend, "a.mp4", identity))).toBe("input.changed");
});

test("an object that shrinks while it is read is noticed", async () => {
  await put(subject, "a.mp4", "x".repeat(1_000_000));
  const { stream } = await backend.open("a.mp4");
  const reader = stream.getReader();
  await reader.read();
  await writeFile(join(root, "a.mp4"), "short");
  const drain = async (): Promise<void> => {
    while (!(await reader.read()).done);
  };
  expect(await kindOf(drain())).toBe("input.changed");
});

test("no message holds a path of this machine", async () => {
  await mkdir(join(root, "folder"));
  await symlink("../outside", join(root, "link"));
  const calls = [
    backend.open("none"),
    backend.open("folder"),
    backend.open("link/secret"),
    backend.stage("folder", newOwner()),
  ];
  for (const result of await Promise.allSettled(calls)) {
    expect(result.status).toBe("rejected");
    if (result.status === "rejected") expect(result.reason.publicMessage).not.toContain(folder);
  }
});

test("a root that is no folder cannot be opened", async () => {
  await writeFile(join(folder, "file"), "");
  expect(await kindOf(openLocalBackend({ name: "local", root: join(folder, "file") }))).toBe("output.conflict");
});

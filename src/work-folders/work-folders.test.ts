import { beforeEach, describe, expect, test } from "bun:test";
import { mkdir, readdir, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeTempDir } from "../../test/support/temp-dir.ts";
import type { JobId } from "../jobs/types.ts";
import { placeInput } from "./place-input.ts";
import { type AttemptId, makeWorkFolders, type WorkFolders } from "./work-folders.ts";

let folder: string;
let tempDir: string;
let folders: WorkFolders;

const newAttempt = (leaseToken = 1): AttemptId => ({ jobId: Bun.randomUUIDv7() as JobId, leaseToken });
const open = (): Promise<WorkFolders> => makeWorkFolders({ tempDir, tempLimitBytes: 1e9 });
const namesIn = async (path: string): Promise<string[]> => (await readdir(path)).sort();

beforeEach(async () => {
  folder = await makeTempDir("work-folders");
  tempDir = join(folder, "tmp");
  folders = await open();
});

describe("one attempt's folder", () => {
  test("is its own, empty, and closed to others", async () => {
    const attempt = newAttempt(7);
    const path = await folders.create(attempt);
    expect(path).toBe(join(tempDir, `${attempt.jobId}.7`));
    expect(path).toBe(folders.path(attempt));
    expect(await namesIn(path)).toEqual(["in", "out"]);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect((await stat(tempDir)).mode & 0o777).toBe(0o700);
  });

  test("holds nothing of an interrupted call before it", async () => {
    const attempt = newAttempt();
    await writeFile(join(await folders.create(attempt), "out/0.mp4"), "old");
    expect(await namesIn(join(await folders.create(attempt), "out"))).toEqual([]);
  });

  test("goes with all it holds, as often as it is removed, and its links' targets stay", async () => {
    const attempt = newAttempt();
    const path = await folders.create(attempt);
    await mkdir(join(path, "out/deep"));
    await writeFile(join(path, "out/deep/file"), "");
    await writeFile(join(folder, "precious"), "");
    await symlink(join(folder, "precious"), join(path, "in/0"));
    await symlink(folder, join(path, "in/1"));
    await folders.remove(attempt);
    await folders.remove(attempt);
    expect(await namesIn(folder)).toEqual(["precious", "tmp"]);
    expect(await namesIn(tempDir)).toEqual([]);
  });

  test.each(["..", "../x", "", "a/b", "not-a-uuid"])("no job is named %j", async (jobId) => {
    const attempt = { jobId: jobId as JobId, leaseToken: 1 };
    await expect(folders.create(attempt)).rejects.toThrow("No attempt");
    await expect(folders.remove(attempt)).rejects.toThrow("No attempt");
    await expect(folders.remove({ ...newAttempt(), leaseToken: -1 })).rejects.toThrow("No attempt");
  });
});

describe("sweep", () => {
  test("removes what no attempt owns, and leaves alone what it did not make", async () => {
    const before = await open();
    const [held, dead] = [newAttempt(), newAttempt()];
    const successor = { ...dead, leaseToken: 2 };
    for (const attempt of [held, dead, successor]) await before.create(attempt);
    const mine = newAttempt();
    await folders.create(mine);
    await mkdir(join(tempDir, "lost+found"));
    await writeFile(join(tempDir, `${Bun.randomUUIDv7()}.1`), "a file, not a folder");
    const foreign = (await namesIn(tempDir)).filter((name) => !name.includes(".") || name.startsWith("lost"));
    expect(await folders.sweep(async () => [held, successor])).toEqual([`${dead.jobId}.1`]);
    const left = await namesIn(tempDir);
    for (const attempt of [held, successor, mine]) expect(left).toContain(`${attempt.jobId}.${attempt.leaseToken}`);
    for (const name of foreign) expect(left).toContain(name);
    expect(left).toHaveLength(5);
  });

  test("does not touch the folder of an attempt that begins while it asks who is alive", async () => {
    const other = await open();
    const late = newAttempt();
    const removed = await folders.sweep(async () => {
      await other.create(late);
      return [];
    });
    expect(removed).toEqual([]);
    expect(await namesIn(tempDir)).toEqual([`${late.jobId}.1`]);
  });

  test("removes nothing when nobody can say who is alive", async () => {
    const attempt = newAttempt();
    await (await open()).create(attempt);
    await expect(folders.sweep(() => Promise.reject(new Error("no database")))).rejects.toThrow("no database");
    expect(await namesIn(tempDir)).toHaveLength(1);
  });

  test("removes what this process made and removed badly before", async () => {
    const attempt = newAttempt();
    await folders.create(attempt);
    await folders.remove(attempt);
    await (await open()).create(attempt);
    expect(await folders.sweep(async () => [])).toEqual([`${attempt.jobId}.1`]);
  });
});

describe("placeInput", () => {
  test("without a sandbox the input is reached through its neutral name", async () => {
    const source = join(folder, "a name with 'quotes'\n.mp4");
    await writeFile(source, "hello");
    const workDir = await folders.create(newAttempt());
    const placed = await placeInput({ workDir, index: 0, sourcePath: source, sandboxed: false });
    expect(placed).toEqual({ file: "in/0", readOnly: [] });
    expect(await Bun.file(join(workDir, placed.file)).text()).toBe("hello");
  });

  test("in a sandbox it is bound over an empty file", async () => {
    const source = join(folder, "a.mp4");
    await writeFile(source, "hello");
    const workDir = await folders.create(newAttempt());
    const placed = await placeInput({ workDir, index: 3, sourcePath: source, sandboxed: true });
    expect(placed).toEqual({ file: "in/3", readOnly: [{ source, target: join(workDir, "in/3") }] });
    expect(await Bun.file(join(workDir, placed.file)).text()).toBe("");
  });

  test("never twice, and never by a relative path", async () => {
    const workDir = await folders.create(newAttempt());
    for (const sandboxed of [true, false]) {
      await expect(placeInput({ workDir, index: 0, sourcePath: "a.mp4", sandboxed })).rejects.toThrow("absolute");
    }
    await placeInput({ workDir, index: 0, sourcePath: "/a", sandboxed: false });
    await expect(placeInput({ workDir, index: 0, sourcePath: "/b", sandboxed: true })).rejects.toThrow("EEXIST");
  });
});

test("a scratch folder goes when nobody can be looking at it any more", async () => {
  const minutesAgo = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);
  for (const [name, minutes] of [
    ["probe-aB3dE6", 61],
    ["probe-young1", 5],
    ["probe-of-mine", 61],
  ] as const) {
    await mkdir(join(tempDir, name));
    await writeFile(join(tempDir, name, "object"), "bytes");
    await utimes(join(tempDir, name), minutesAgo(minutes), minutesAgo(minutes));
  }
  expect(await folders.sweep(async () => [])).toEqual(["probe-aB3dE6"]);
  expect(await namesIn(tempDir)).toEqual(["probe-of-mine", "probe-young1"]);
});

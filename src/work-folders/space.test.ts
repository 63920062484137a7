import { beforeEach, describe, expect, test } from "bun:test";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { makeTempDir } from "../../test/support/temp-dir.ts";
import { RendiffError } from "../errors.ts";
import { type DiskState, diskUsage, makeSpace, type Reservation, type Space } from "./space.ts";

const MB = 1_000_000;

let tempDir: string;
let disk: DiskState;

/** A disk of 100 MB that our files do not fill by themselves: tests say what is free. */
const open = (limitBytes: number): Space => makeSpace({ tempDir, limitBytes, disk: async () => disk });

beforeEach(async () => {
  tempDir = await makeTempDir("space");
  disk = { freeBytes: 100 * MB, sizeBytes: 100 * MB };
});

async function fill(folder: string, bytes: number): Promise<number> {
  await mkdir(join(tempDir, folder, "out"), { recursive: true });
  await writeFile(join(tempDir, folder, "out/0"), new Uint8Array(bytes).fill(1));
  return await diskUsage(join(tempDir, folder));
}

async function mustReserve(space: Space, folder: string, bytes: number): Promise<Reservation> {
  const reservation = await space.reserve(folder, bytes);
  if (reservation === null) throw new Error(`${bytes} bytes should have been free.`);
  return reservation;
}

describe("reserve", () => {
  test("up to what is free, and again what was given back, once", async () => {
    const space = open(1000 * MB);
    const first = await mustReserve(space, "a", 60 * MB);
    expect(first.bytes).toBe(60 * MB);
    expect(await space.reserve("b", 41 * MB)).toBeNull();
    await mustReserve(space, "b", 40 * MB);
    expect(await space.reserve("c", 1)).toBeNull();
    first.release();
    first.release();
    expect(await space.reserve("c", 61 * MB)).toBeNull();
    await mustReserve(space, "c", 60 * MB);
  });

  test("up to the limit, however much is free", async () => {
    const space = open(50 * MB);
    await mustReserve(space, "a", 30 * MB);
    expect(await space.reserve("b", 21 * MB)).toBeNull();
    expect(await space.reserve("b", 19 * MB)).not.toBeNull();
  });

  test("what was written is not counted twice", async () => {
    const space = open(1000 * MB);
    await mustReserve(space, "a", 60 * MB);
    const written = await fill("a", 10 * MB);
    disk = { ...disk, freeBytes: disk.freeBytes - written };
    expect(await space.reserve("b", 40 * MB + 1)).toBeNull();
    await mustReserve(space, "b", 40 * MB);
  });

  test("what was written beyond its reservation takes from the others", async () => {
    const space = open(1000 * MB);
    await mustReserve(space, "a", 1 * MB);
    const written = await fill("a", 10 * MB);
    disk = { ...disk, freeBytes: disk.freeBytes - written };
    expect(await space.reserve("b", 90 * MB)).toBeNull();
    await mustReserve(space, "b", 100 * MB - written);
  });

  test("many files count as few do", async () => {
    for (const files of [3, 60]) {
      const space = open(50 * MB);
      await mkdir(join(tempDir, `of ${files}`));
      const names = Array.from({ length: files }, (_, index) => join(tempDir, `of ${files}`, `${index}`));
      await Promise.all(names.map((name) => writeFile(name, new Uint8Array(8192))));
      const used = await diskUsage(join(tempDir, `of ${files}`));
      expect(used).toBeGreaterThan(files * 8191);
      expect(await space.reserve("a", 50 * MB - used + 1)).toBeNull();
      await mustReserve(space, "a", 50 * MB - used);
      await rm(join(tempDir, `of ${files}`), { recursive: true });
    }
  });

  test("leftovers and other processes' folders count against the limit", async () => {
    const space = open(50 * MB);
    const left = await fill("somebody", 10 * MB);
    expect(await space.reserve("a", 50 * MB - left + 8192)).toBeNull();
    await rm(join(tempDir, "somebody"), { recursive: true });
    await mustReserve(space, "a", 50 * MB - 8192);
  });

  test("an attempt's reservations add up, and share what its folder holds", async () => {
    const space = open(1000 * MB);
    const input = await mustReserve(space, "a", 30 * MB);
    const written = await fill("a", 10 * MB);
    disk = { ...disk, freeBytes: disk.freeBytes - written };
    await mustReserve(space, "a", 30 * MB);
    expect(await space.reserve("b", 40 * MB + 1)).toBeNull();
    input.release();
    expect(await space.reserve("b", 70 * MB + 1)).toBeNull();
    await mustReserve(space, "b", 70 * MB);
  });

  test("what could never be had is refused for good", async () => {
    for (const [limit, bytes] of [
      [50 * MB, 50 * MB + 1],
      [1000 * MB, 100 * MB + 1],
    ] as const) {
      const error = await open(limit)
        .reserve("a", bytes)
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(RendiffError);
      expect(error).toMatchObject({ kind: "resource.disk", retry: "never" });
    }
    disk = { ...disk, freeBytes: 0 };
    expect(await open(1000 * MB).reserve("a", 100 * MB)).toBeNull();
  });

  test("jobs that ask at once are never given more than there is", async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 60 * MB }), { minLength: 2, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 60 * MB, max: 200 * MB }), async (wanted, limit) => {
        const space = open(limit);
        const given = await Promise.all(wanted.map((bytes, index) => space.reserve(`job-${index}`, bytes)));
        const sum = given.reduce((total, one) => total + (one?.bytes ?? 0), 0);
        expect(sum).toBeLessThanOrEqual(Math.min(limit, disk.freeBytes));
        // Nobody was turned away who would have fitted beside all others.
        const turnedAway = wanted.filter((_, index) => given[index] === null);
        for (const bytes of turnedAway) expect(sum + bytes).toBeGreaterThan(Math.min(limit, disk.freeBytes) - 8192);
        for (const one of given) one?.release();
        expect(await space.reserve("after", Math.min(limit, disk.freeBytes) - 8192)).not.toBeNull();
      }),
      { numRuns: 200 },
    );
  });
});

test("the real disk has room for little, and not for everything", async () => {
  const space = makeSpace({ tempDir, limitBytes: Number.MAX_SAFE_INTEGER });
  expect(await space.reserve("a", 1)).not.toBeNull();
  await expect(space.reserve("a", Number.MAX_SAFE_INTEGER)).rejects.toThrow(RendiffError);
});

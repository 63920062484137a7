import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFindings, writeFrames } from "./findings.ts";

let workDir = "";
beforeAll(async () => {
  workDir = await mkdtemp(join(tmpdir(), "rendiff-findings-"));
  await Bun.write(join(workDir, "black.txt"), "frame:30 pts:30 pts_time:1.2\nlavfi.black_start=1.2\n");
});
afterAll(() => rm(workDir, { recursive: true, force: true }));

const black = { name: "blackdetect", kind: "intervals", file: "black.txt", minSeconds: 0.1 } as const;

test("what is black to the end of a file of unknown length lasts to where FFmpeg came", async () => {
  const found = await readFindings([{ ...black, endSeconds: 0 }], { workDir, stderr: "", outSeconds: 4 });
  expect(found).toEqual({
    blackdetect: { count: 1, seconds: 2.8, longest: 2.8, intervals: [{ start: 1.2, end: 4 }] },
  });
});

test("a length that is known counts, also where a longer reference was read beside it", async () => {
  const found = await readFindings([{ ...black, endSeconds: 3 }], { workDir, stderr: "", outSeconds: 9 });
  expect(found).toMatchObject({ blackdetect: { longest: 1.8 } });
});

describe("the report of all frames", () => {
  const line = (n: number): string => `n:${n} psnr_avg:30.5 psnr_y:31.25`;
  const logs = [
    { kind: "psnr", file: "psnr.log" },
    { kind: "ssim", file: "ssim.log" },
  ] as const;
  const opened = (): readonly string[] =>
    readdirSync("/proc/self/fd").flatMap((name) => {
      try {
        const target = readlinkSync(`/proc/self/fd/${name}`);
        return target.startsWith(workDir) || target === "/dev/full" ? [target] : [];
      } catch {
        return [];
      }
    });
  // Longer than what is read at once, so that a reader is in the middle of it when the other fails.
  const prepare = () =>
    Bun.write(join(workDir, "psnr.log"), Array.from({ length: 10_000 }, (_, n) => `${line(n + 1)}\n`).join(""));

  test("has what each log says of a frame, and takes the logs away", async () => {
    await Bun.write(join(workDir, "psnr.log"), `${line(1)}\r\n${line(2)}`);
    await Bun.write(join(workDir, "ssim.log"), "n:2 Y:0.9 All:0.95 (13.0)\n");
    const path = join(workDir, "report.json");
    const size = await writeFrames(path, logs, workDir);
    const psnr = { psnr_avg: 30.5, psnr_y: 31.25 };
    expect(await Bun.file(path).json()).toEqual({
      frames: [
        { frame: 0, ...psnr },
        { frame: 1, ...psnr, ssim_y: 0.9, ssim_all: 0.95 },
      ],
      loudness: [],
    });
    expect(size).toBe(Bun.file(path).size);
    expect(await readdir(workDir)).not.toContain("psnr.log");
    expect(opened()).toEqual([]);
  });

  test("leaves no file open when a log cannot be read", async () => {
    await prepare();
    await symlink("/proc/self/mem", join(workDir, "ssim.log"));
    await expect(writeFrames(join(workDir, "report.json"), logs, workDir)).rejects.toThrow("EIO");
    expect(opened()).toEqual([]);
    await rm(join(workDir, "ssim.log"));
  });

  test("says that the disk is full, and leaves no file open", async () => {
    await prepare();
    await symlink("/dev/full", join(workDir, "full.json"));
    const failure = await writeFrames(join(workDir, "full.json"), logs, workDir).catch((error: unknown) => error);
    expect(failure).toMatchObject({ kind: "resource.disk", retry: "backoff" });
    expect(opened()).toEqual([]);
  });
});

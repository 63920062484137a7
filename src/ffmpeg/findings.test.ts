import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFindings } from "./findings.ts";

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

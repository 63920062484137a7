/** A disk that fills up while an output is written: it is published whole, or it is not, and nothing is left. */
import { describe, expect } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { testUnless } from "../support/gated.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import type { Report } from "./fixtures/storage-full-disk.ts";

const DISK_BYTES = 2 * 1024 * 1024;
const NEEDS = "no user namespaces";

async function runOnSmallDisk(): Promise<Report> {
  const folder = await makeTempDir("full-disk");
  const [disk, elsewhere] = [join(folder, "disk"), join(folder, "elsewhere")];
  for (const path of [disk, elsewhere]) await mkdir(path);
  const script = resolve(import.meta.dir, "fixtures/storage-full-disk.ts");
  const box = ["bwrap", "--die-with-parent", "--bind", "/", "/", "--size", `${DISK_BYTES}`, "--tmpfs", disk];
  const child = Bun.spawn([...box, process.execPath, script, disk, `${DISK_BYTES}`, elsewhere], {
    stdout: "pipe",
    stderr: "pipe",
    timeout: 60_000,
  });
  const [output, errors, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`The fixture ended with ${code}: ${errors}`);
  return JSON.parse(output) as Report;
}

describe("a full disk", () => {
  let running: Promise<Report> | undefined;
  const report = (): Promise<Report> => {
    running ??= runOnSmallDisk();
    return running;
  };

  testUnless(
    NEEDS,
    "at any point of the output: the old object or the whole new one, an error that is retried, nothing left",
    async () => {
      const { rounds } = await report();
      const failed = rounds.filter(({ outcome }) => outcome !== "published");
      expect(failed.length).toBeGreaterThanOrEqual(8);
      expect(new Set(failed.map(({ outcome }) => outcome))).toEqual(new Set(["resource.disk backoff"]));
      expect(rounds.at(-1)?.outcome).toBe("published");
      expect(rounds.filter(({ whole, leftovers }) => !whole || leftovers.length > 0)).toEqual([]);
    },
    60_000,
  );

  testUnless(
    NEEDS,
    "once there is room again, publishing goes on",
    async () => {
      expect((await report()).afterwards).toBe("published");
    },
    60_000,
  );

  testUnless(
    NEEDS,
    "no space is promised that is not there",
    async () => {
      const { reservation, impossible, workFolder } = await report();
      expect(workFolder).toBe("ENOSPC");
      expect(reservation).toBe("null");
      expect(impossible).toBe("resource.disk never");
    },
    60_000,
  );
});

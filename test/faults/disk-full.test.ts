/** A disk that fills up while FFmpeg writes: no broken output ever passes for a finished one. */
import { describe, expect } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { testEnv } from "../support/env.ts";
import { testUnless } from "../support/gated.ts";
import { VERSIONS } from "../support/steps.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import type { Point } from "./fixtures/disk-full.ts";

const DISK_BYTES = 16 * 1024 * 1024;
const POINTS = testEnv().long ? 0 : 6;
const TIMEOUT_MS = testEnv().long ? 900_000 : 60_000;
const POINTS_MIN = testEnv().long ? 200 : 40;

for (const version of VERSIONS) {
  describe(`the ${version.name} FFmpeg on a full disk`, () => {
    testUnless(
      "no user namespaces",
      "completes only what is written to its last byte",
      async () => {
        const folder = await makeTempDir("disk");
        const [disk, elsewhere] = [join(folder, "disk"), join(folder, "elsewhere")];
        for (const path of [disk, elsewhere]) await mkdir(path);
        const { ffmpegPath, ffprobePath } = version.tools();
        const box = ["bwrap", "--die-with-parent", "--dev-bind", "/", "/", "--size", `${DISK_BYTES}`, "--tmpfs", disk];
        const script = join(import.meta.dir, "fixtures/disk-full.ts");
        const args = [script, disk, elsewhere, ffmpegPath, ffprobePath, `${POINTS}`];
        const child = Bun.spawn([...box, process.execPath, ...args], { stderr: "inherit", timeout: TIMEOUT_MS });
        const points = JSON.parse(await new Response(child.stdout).text()) as Point[];
        expect(await child.exited).toBe(0);

        expect(points.length).toBeGreaterThanOrEqual(POINTS_MIN);
        const completed = points.filter(({ outcome }) => outcome === "completed");
        expect(completed.filter(({ whole }) => !whole)).toEqual([]);
        // A second layer that does not ask FFmpeg: verification alone finds every broken file.
        expect(points.filter(({ verified, whole }) => (verified === "completed") !== whole)).toEqual([]);
        // The last point of each format has room for all of it.
        expect(new Set(completed.map(({ format }) => format)).size).toBe(5);
        const failed = points.filter(({ outcome }) => outcome !== "completed");
        expect(failed.length).toBeGreaterThanOrEqual(POINTS_MIN - 2 * 5);
        const kinds = new Set(failed.map(({ outcome }) => outcome));
        for (const kind of kinds) expect(["resource.disk", "output.invalid"]).toContain(kind);
      },
      TIMEOUT_MS,
    );
  });
}

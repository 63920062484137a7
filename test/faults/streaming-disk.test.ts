/** A disk that fills up while a package is written: no broken package ever passes for a finished one. */
import { describe, expect } from "bun:test";
import { cp, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { testEnv } from "../support/env.ts";
import { testUnless } from "../support/gated.ts";
import { makePackage } from "../support/packages.ts";
import { VERSIONS } from "../support/steps.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import type { PackagePoint } from "./fixtures/streaming-disk.ts";

const DISK_BYTES = 16 * 1024 * 1024;
const POINTS = testEnv().long ? 60 : 10;
const TIMEOUT_MS = testEnv().long ? 600_000 : 60_000;
const CLIP = { durationSeconds: 3, video: { width: 160, height: 120 }, audio: { channels: 2 } } as const;
const VARIANTS = [{ height: 120, bitrate: 300_000 }, { height: 60 }];
const KINDS: readonly (readonly [name: string, stream: Readonly<Record<string, unknown>>])[] = [
  ["HLS and DASH of CMAF", { format: "both" }],
  ["encrypted transport streams", { container: "ts", encryption: "aes-128", key_uri: "https://keys.example/9" }],
];

describe("a package on a full disk", () => {
  for (const [name, stream] of KINDS) {
    testUnless(
      "no user namespaces",
      `${name}: completes only what is written to its last byte`,
      async () => {
        const folder = await makeTempDir("disk");
        const [disk, elsewhere] = [join(folder, "disk"), join(folder, "elsewhere")];
        for (const path of [disk, elsewhere]) await mkdir(path);
        const made = await makePackage({ clip: CLIP, stream: { segment_duration: 1, variants: VARIANTS, ...stream } });
        await cp(join(made.workDir, "out/renditions"), join(elsewhere, "out/renditions"), { recursive: true });
        const plan = join(folder, "plan.json");
        await Bun.write(plan, JSON.stringify(made.plan));
        const tools = VERSIONS[1]?.tools();
        const box = ["bwrap", "--die-with-parent", "--dev-bind", "/", "/", "--size", `${DISK_BYTES}`, "--tmpfs", disk];
        const script = join(import.meta.dir, "fixtures/streaming-disk.ts");
        const args = [script, disk, elsewhere, plan, tools?.ffmpegPath ?? "", tools?.ffprobePath ?? "", `${POINTS}`];
        const child = Bun.spawn([...box, process.execPath, ...args], { stderr: "inherit", timeout: TIMEOUT_MS });
        const points = JSON.parse(await new Response(child.stdout).text()) as PackagePoint[];
        expect(await child.exited).toBe(0);

        expect(points).toHaveLength(POINTS + 1);
        const completed = points.filter(({ outcome }) => outcome === "completed");
        expect(completed.filter(({ whole }) => !whole)).toEqual([]);
        expect(points.at(-1)).toMatchObject({ outcome: "completed", whole: true });
        const failed = points.filter(({ outcome }) => outcome !== "completed");
        expect(failed.length).toBeGreaterThanOrEqual(POINTS / 2);
        for (const { outcome } of failed) expect(["resource.disk", "output.invalid"]).toContain(outcome);
      },
      TIMEOUT_MS,
    );
  }
});

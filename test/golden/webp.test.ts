/** Animated WebP: written by FFmpeg 9, and read back by it, since no older ffprobe can. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { compile } from "../../src/media/compile.ts";
import { sampleCapabilities, sampleLimits } from "../support/capabilities.ts";
import { testEnv } from "../support/env.ts";
import { makeClip } from "../support/media.ts";
import { probe, runPlan } from "./harness.ts";

test("a film becomes an animated WebP of its frames", async () => {
  const input = await makeClip({ video: { fps: 5 }, durationSeconds: 2 });
  const plan = compile({
    operations: [],
    options: {},
    outputName: "loop.webp",
    inputs: [{ file: "in/0", media: await probe(input) }],
    capabilities: sampleCapabilities(9),
    limits: sampleLimits,
    threads: 1,
  });
  const { workDir } = await runPlan(plan, input, testEnv().ffmpeg9);
  const path = join(workDir, plan.outputs[0]?.file ?? "");
  const args = ["-nostdin", "-v", "error", "-i", path, "-fps_mode", "passthrough", "-f", "framemd5", "pipe:1"];
  const child = Bun.spawn([testEnv().ffmpeg9, ...args], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const frames = (await new Response(child.stdout).text()).split("\n").filter((line) => line.startsWith("0,"));
  expect(frames).toHaveLength(10);
});

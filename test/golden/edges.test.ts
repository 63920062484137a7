/** Exact trims that copy what lies between their edges: the same frames as the input's, none more, none less. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { compile } from "../../src/media/compile.ts";
import { parseOperations } from "../../src/media/operations/parse.ts";
import type { MediaInfo, Plan } from "../../src/media/types.ts";
import { sampleCapabilities, sampleLimits } from "../support/capabilities.ts";
import { testEnv } from "../support/env.ts";
import { type ClipSpec, makeClip } from "../support/media.ts";
import { probe, runPlan, verifyPlan } from "./harness.ts";
import { difference, framesOf, type Major, programOf, samplesOf } from "./looks.ts";

/** Times of the picture's packets in the order in which they are shown, and whether each is a keyframe. */
async function packets(path: string): Promise<{ time: number; key: boolean }[]> {
  const shown = ["-select_streams", "v:0", "-show_entries", "packet=pts_time,flags", "-of", "csv=p=0"];
  const child = Bun.spawn([testEnv().ffprobe, "-v", "error", ...shown, path], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = (await new Response(child.stdout).text()).split("\n");
  const all = lines.flatMap((line) => {
    const [time = "", flags = ""] = line.split(",");
    return time === "" ? [] : [{ time: Number(time), key: flags.startsWith("K") }];
  });
  return all.sort((a, b) => a.time - b.time);
}

async function planFor(input: string, operations: readonly unknown[], major: Major, output = "out.mp4"): Promise<Plan> {
  const found = await probe(input);
  const keys = (await packets(input)).filter(({ key }) => key).map(({ time }) => time - found.startSeconds);
  const media: MediaInfo = { ...found, keyframes: keys };
  return compile({
    ...{ operations: parseOperations(operations), options: {}, outputName: output, limits: sampleLimits, threads: 1 },
    ...{ inputs: [{ file: "in/0", media }], capabilities: sampleCapabilities(major) },
  });
}

const moving = { width: 96, height: 64, source: "testsrc2" } as const;
const clips: Readonly<Record<string, ClipSpec>> = {
  "mp4 with B-frames": {
    durationSeconds: 6,
    audio: {},
    video: { ...moving, gop: 25 },
    outputArgs: ["-preset:v:0", "fast"],
  },
  "mp4 without B-frames": { durationSeconds: 6, audio: {}, video: { ...moving, gop: 25 } },
  "mkv at 29.97": {
    ...{ container: "mkv", durationSeconds: 6, audio: {} },
    video: { ...moving, gop: 30, fps: "30000/1001" },
    outputArgs: ["-preset:v:0", "fast", "-bf", "2", "-x264-params", "b-pyramid=none"],
  },
};

const trims: readonly (readonly [string, object, number, number])[] = [
  ["inside at both ends", { start: 0.52, end: 4.6 }, 0.52, 4.6],
  ["to the end", { start: 1.72 }, 1.72, 6],
  ["from the start", { start: 0, duration: 3.4 }, 0, 3.4],
  ["from a keyframe to between two frames", { start: 1, end: 4.13 }, 1, 4.13],
];

for (const major of [5, 9] as const) {
  for (const [clipName, clip] of Object.entries(clips)) {
    describe(`${clipName} on FFmpeg ${major}`, () => {
      test.each(trims)("%s", async (_, trim, from, until) => {
        const input = await makeClip(clip);
        const plan = await planFor(input, [{ type: "trim", ...trim }], major);
        expect(plan.warnings).toEqual([]);
        expect(plan.steps.at(-1)?.id).toBe("join");
        const ran = await runPlan(plan, input, programOf(major));
        expect(await verifyPlan(plan, ran)).toEqual([]);
        const path = join(ran.workDir, plan.outputs[0]?.file ?? "");
        const [made, all] = [await framesOf(path), await framesOf(input)];
        const { startSeconds } = await probe(input);
        const times = (await packets(input)).map(({ time }) => time - startSeconds);
        const within = (time: number): boolean => time >= from - 0.001 && (until === 6 || time < until - 0.001);
        const wanted = all.filter((_, n) => within(times[n] ?? -1));
        expect(made.length).toBe(wanted.length);
        // Copied frames are the very same, those of the edges as good as.
        const distances = made.map((frame, n) => difference(frame, wanted[n] ?? frame));
        expect(Math.max(...distances)).toBeLessThan(4);
        expect(distances.filter((one) => one === 0).length).toBeGreaterThan(made.length / 3);
        const samples = await samplesOf(path);
        expect(Math.abs(samples.length / 8_000 - (until - from))).toBeLessThan(0.1);
      });
    });
  }
}

describe("encodes everything, and says why", () => {
  const reasons: readonly (readonly [string, ClipSpec, object, string])[] = [
    ["no keyframe inside", { durationSeconds: 2, video: { gop: 250 } }, { start: 0.5 }, "no keyframe lies inside"],
    [
      "another codec",
      { container: "mkv", durationSeconds: 2, video: { encoder: "libx265", gop: 10 } },
      { start: 0.5 },
      "hevc is not joined",
    ],
    ["a display matrix", { durationSeconds: 2, video: { gop: 10 }, rotation: 90 }, { start: 0.5 }, "display matrix"],
  ];
  test.each(reasons)("%s", async (_, clip, trim, words) => {
    const plan = await planFor(await makeClip(clip), [{ type: "trim", ...trim }], 9, "out.mp4");
    expect(plan.steps.map(({ id }) => id)).toEqual(["encode"]);
    expect(plan.warnings.join(" ")).toContain(words);
  });

  test("not a word when something else encodes anyway", async () => {
    const input = await makeClip({ durationSeconds: 2, video: { gop: 10 } });
    const plan = await planFor(input, [{ type: "trim", start: 0.5 }, { type: "flip" }], 9);
    expect(plan.warnings).toEqual([]);
  });
});

/** One step of a plan under both FFmpegs: its progress, its limits, its end. */
import { describe, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { runStep, type StepRequest } from "../../src/ffmpeg/step.ts";
import type { Arg, EncodeProgress, PlanStep } from "../../src/media/types.ts";
import { copyClip } from "../support/media.ts";
import { mediaProcessesWith } from "../support/processes.ts";
import { bestRunner } from "../support/sandbox.ts";
import { failureOf, toStep, VERSIONS } from "../support/steps.ts";
import { makeTempDir } from "../support/temp-dir.ts";
import { within } from "../support/until.ts";

const runner = bestRunner();
const IN: Arg = { file: "in/0" };
const H264 = ["-map", "0:v", "-c:v", "libx264", "-preset", "ultrafast", "-threads", "1"];
const source = (graph: string, ...before: readonly string[]) => [...before, "-f", "lavfi", "-i", graph];

async function makeWorkDir(): Promise<string> {
  const workDir = await makeTempDir("step");
  await mkdir(join(workDir, "in"));
  await copyClip(join(workDir, "in/0"));
  return workDir;
}

for (const version of VERSIONS) {
  const start = async (workDir: string, step: PlanStep, rest: Partial<StepRequest> = {}) =>
    runStep({
      ...{ runner: await runner, tools: version.tools(), step, workDir, readOnly: [], niceness: 0 },
      ...{ stallTimeoutMs: 20_000, timeoutMs: 30_000 },
      ...rest,
    });

  describe(`a step of the ${version.name} FFmpeg`, () => {
    test("reports progress up to 100 and what it took", async () => {
      const workDir = await makeWorkDir();
      const seen: EncodeProgress[] = [];
      const step = toStep(["-i", IN, ...H264, "-f", "mp4", { file: "out/0.mp4" }]);
      const result = await start(workDir, step, { onProgress: (progress) => void seen.push(progress) });
      expect(seen.at(-1)).toMatchObject({ percent: 100, frame: 25, etaSeconds: 0 });
      expect(result).toMatchObject({ frames: 25, outSeconds: expect.any(Number) });
      expect(result.cpuMs).toBeGreaterThan(0);
      expect(result.wallMs).toBeGreaterThan(0);
    });

    test("writes nothing but its work folder and reads nothing but its inputs", async () => {
      const workDir = await makeWorkDir();
      const other = join(await makeTempDir("other"), "0.mp4");
      await copyClip(other);
      const failure = await failureOf(
        start(workDir, toStep(["-i", other, ...H264, "-f", "mp4", { file: "out/0.mp4" }])),
      );
      expect(failure.publicMessage).not.toContain(other);
      expect(failure.evidence).not.toContain(other);
    });

    test("is explained when it fails", async () => {
      const workDir = await makeWorkDir();
      const kindOf = async (args: readonly Arg[], rest: Partial<PlanStep> = {}) =>
        (await failureOf(start(workDir, toStep(args, rest)))).kind;
      const mp4: readonly Arg[] = ["-f", "mp4", { file: "out/0.mp4" }];
      expect(await kindOf(["-i", IN, "-c:v", "nosuch", ...mp4])).toBe("plan.unsupported");
      expect(await kindOf(["-i", IN, "-vf", "nosuch", ...mp4])).toBe("plan.unsupported");
      expect(await kindOf(["-i", IN, "-map", "0:s", ...mp4])).toBe("plan.invalid");
      expect(await kindOf(["-i", IN, ...H264, "-f", "webm", { file: "out/0.webm" }])).toBe("plan.invalid");
      expect(await kindOf(["-i", IN, "-vf", "scale=99999:99999", "-c:v", "rawvideo", "-f", "null", "-"])).toBe(
        "limit.exceeded",
      );
      await Bun.write(join(workDir, "in/0"), "no media ".repeat(100));
      expect(await kindOf(["-i", IN, ...H264, ...mp4])).toBe("input.unreadable");
    });

    test("is stopped at the size that was planned for its file", async () => {
      const workDir = await makeWorkDir();
      const args = [
        ...source("testsrc2=size=320x240:rate=25:duration=20"),
        "-c:v",
        "rawvideo",
        "-f",
        "nut",
        { file: "out/0" },
      ];
      const failure = await failureOf(start(workDir, toStep(args, { fileBytesMax: 1_000_000 })));
      expect(failure.kind).toBe("limit.exceeded");
      expect(Bun.file(join(workDir, "out/0")).size).toBeLessThanOrEqual(1_000_000);
    });

    test("is held to the memory that was planned for it", async () => {
      const workDir = await makeWorkDir();
      // Filters report a failed allocation; some encoders hang on one, which is what the stall limit is for.
      const large = ["-vf", "scale=16000:16000,scale=15000:15000", "-c:v", "rawvideo", "-f", "null", "-"];
      const step = toStep([...source("color=size=64x48:rate=25:duration=0.2"), ...large], {
        memoryBytesMax: 700_000_000,
      });
      expect(await failureOf(start(workDir, step))).toMatchObject({
        kind: "resource.memory",
        publicMessage: expect.stringContaining("668 MiB"),
      });
    });

    test("that makes no progress is stalled, and is stopped", async () => {
      const workDir = await makeWorkDir();
      // A pipe that nobody writes to: FFmpeg waits for its first byte for ever.
      Bun.spawnSync(["mkfifo", join(workDir, "in/1")]);
      const step = toStep(["-i", { file: "in/1" }, ...H264, "-f", "mp4", { file: "out/0.mp4" }]);
      const failure = await failureOf(start(workDir, step, { stallTimeoutMs: 500 }));
      expect(failure.kind).toBe("ffmpeg.stalled");
      expect(mediaProcessesWith(workDir)).toEqual([]);
    });

    test("that reads and has nothing to write until its end is not", async () => {
      const workDir = await makeWorkDir();
      const raw = { container: "avi", durationSeconds: 2, video: { encoder: "rawvideo", pixelFormat: "yuv420p" } };
      await copyClip(join(workDir, "in/1"), raw);
      const slowly: readonly Arg[] = ["-re", "-i", { file: "in/1" }];
      const step = toStep([...slowly, "-vf", "reverse", ...H264, "-f", "mp4", { file: "out/0.mp4" }]);
      expect(await start(workDir, step, { stallTimeoutMs: 1_200 })).toMatchObject({ frames: 50 });
    });

    test("that uses up its time is stopped, and its progress does not save it", async () => {
      const workDir = await makeWorkDir();
      const step = toStep([
        ...source("testsrc2=size=64x48:rate=25", "-re"),
        ...H264,
        "-f",
        "mp4",
        { file: "out/0.mp4" },
      ]);
      const failure = await failureOf(start(workDir, step, { timeoutMs: 1_200, stallTimeoutMs: 1_000 }));
      expect(failure).toMatchObject({ kind: "job.timeout", publicMessage: expect.stringContaining("1 seconds") });
      expect(mediaProcessesWith(workDir)).toEqual([]);
    });

    test("that is aborted is dead when it says so", async () => {
      const workDir = await makeWorkDir();
      const reason = new Error("cancelled");
      const controller = new AbortController();
      const heard = Promise.withResolvers<void>();
      const step = toStep([
        ...source("testsrc2=size=64x48:rate=25", "-re"),
        ...H264,
        "-f",
        "mp4",
        { file: "out/0.mp4" },
      ]);
      const running = start(workDir, step, { signal: controller.signal, onProgress: () => heard.resolve() });
      await within(heard.promise, 10_000, "progress");
      const startedAt = performance.now();
      controller.abort(reason);
      await expect(running).rejects.toBe(reason);
      expect(performance.now() - startedAt).toBeLessThan(1_000);
      expect(mediaProcessesWith(workDir)).toEqual([]);
      await expect(start(workDir, step, { signal: controller.signal })).rejects.toBe(reason);
    });
  });
}

/** Exact trims on real films: the very frames and samples that were asked for, told by their hashes. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { compile } from "../../src/media/compile.ts";
import { parseOperations } from "../../src/media/operations/parse.ts";
import { sampleCapabilities, sampleLimits } from "../support/capabilities.ts";
import { testEnv } from "../support/env.ts";
import { type ClipSpec, makeClip } from "../support/media.ts";
import { probe, runPlan } from "./harness.ts";

const decode = async (path: string, args: readonly string[]): Promise<string> => {
  const child = Bun.spawn([testEnv().ffmpeg9, "-nostdin", "-v", "error", "-i", path, ...args, "pipe:1"], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  return new Response(child.stdout).text();
};

/** Of each frame that a decoder gives, in order. */
async function frameHashes(path: string): Promise<string[]> {
  const text = await decode(path, [
    "-map",
    "0:v:0",
    "-fps_mode",
    "passthrough",
    "-pix_fmt",
    "yuv420p",
    "-f",
    "framemd5",
  ]);
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => line.slice(line.lastIndexOf(",") + 1).trim());
}

async function samples(path: string): Promise<Int16Array> {
  const child = Bun.spawn(
    [testEnv().ffmpeg, "-nostdin", "-v", "error", "-i", path, "-map", "0:a:0", "-f", "s16le", "pipe:1"],
    {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  return new Int16Array(await new Response(child.stdout).arrayBuffer());
}

async function trimmed(input: string, output: string, operations: readonly unknown[], major: 5 | 9): Promise<string> {
  const plan = compile({
    operations: parseOperations(operations),
    options: {},
    outputName: output,
    inputs: [{ file: "in/0", media: await probe(input) }],
    capabilities: sampleCapabilities(major),
    limits: sampleLimits,
    threads: 1,
  });
  const { workDir } = await runPlan(plan, input, major === 5 ? testEnv().ffmpeg : testEnv().ffmpeg9);
  return join(workDir, plan.outputs[0]?.file ?? "");
}

const lossless = { type: "transcode", video_codec: "h264", crf: 0, preset: "ultrafast" };

interface Film {
  readonly clip: ClipSpec;
  readonly fps: number;
}

const films: Record<string, Film> = {
  "mp4 with B-frames": { clip: { durationSeconds: 4, video: { gop: 30 } }, fps: 25 },
  "mp4 at 29.97": { clip: { durationSeconds: 4, video: { gop: 30, fps: "30000/1001" } }, fps: 30_000 / 1_001 },
  "mkv, whose times are rounded": {
    clip: { container: "mkv", durationSeconds: 4, video: { gop: 30, fps: "30000/1001" } },
    fps: 30_000 / 1_001,
  },
  "a transport stream": { clip: { container: "ts", durationSeconds: 4, video: { gop: 30 } }, fps: 25 },
  webm: { clip: { container: "webm", durationSeconds: 3, video: { gop: 30 } }, fps: 25 },
  avi: { clip: { container: "avi", durationSeconds: 3, video: { gop: 30 } }, fps: 25 },
};

/** First frame and number of frames. */
const parts: readonly (readonly [number, number])[] = [[59, 11]];

for (const major of [5, 9] as const) {
  describe(`exact trims on FFmpeg ${major}`, () => {
    for (const [name, { clip, fps }] of Object.entries(films)) {
      for (const [first, count] of parts) {
        test(`${name}: ${count} frames from ${first}`, async () => {
          const input = await makeClip(clip);
          // People write times to the millisecond.
          const start = Number((first / fps).toFixed(3));
          const end = Number(((first + count) / fps).toFixed(3));
          const output = await trimmed(input, "part.mp4", [{ type: "trim", start, end }, lossless], major);
          const all = await frameHashes(input);
          expect(await frameHashes(output)).toEqual(all.slice(first, first + count));
          expect((await probe(output)).startSeconds).toBeCloseTo(0, 2);
        });
      }
    }

    test("a trim of a trim", async () => {
      const input = await makeClip({ durationSeconds: 4, video: { gop: 30 } });
      const operations = [{ type: "trim", start: 1, end: 3 }, { type: "trim", start: 0.2, duration: 0.4 }, lossless];
      const output = await trimmed(input, "part.mkv", operations, major);
      expect(await frameHashes(output)).toEqual((await frameHashes(input)).slice(30, 40));
    });

    test("a variable rate keeps its frames and their distances", async () => {
      const input = await makeClip({ durationSeconds: 4, video: { gop: 30, variableRate: true } });
      const output = await trimmed(input, "part.mp4", [{ type: "trim", start: 1, end: 2 }, lossless], major);
      const times = async (path: string) =>
        (
          await decode(path, [
            "-map",
            "0:v:0",
            "-fps_mode",
            "passthrough",
            "-enc_time_base",
            "1/1000",
            "-f",
            "framemd5",
          ])
        )
          .split("\n")
          .filter((line) => line.startsWith("0,"))
          .map((line) => Number(line.split(",")[2]));
      const wanted = (await times(input)).filter((ms) => ms >= 1_000 && ms < 2_000).map((ms) => ms - 1_000);
      expect(await times(output)).toEqual(wanted);
    });

    test("sound is cut to the sample, alone and beside a picture", async () => {
      const alone = await makeClip({ container: "wav", durationSeconds: 2, audio: { channels: 1 } });
      const part = await trimmed(alone, "part.wav", [{ type: "trim", start: 0.5, end: 1.25 }], major);
      expect(await samples(part)).toEqual((await samples(alone)).slice(22_050, 55_125));
      const both = await makeClip({
        container: "mkv",
        durationSeconds: 3,
        video: { gop: 30 },
        audio: { encoder: "pcm_s16le", sampleRate: 48_000 },
      });
      const operations = [
        { type: "trim", start: 1.24, duration: 1 },
        { ...lossless, audio_codec: "pcm_s16le" },
      ];
      const film = await trimmed(both, "part.mkv", operations, major);
      expect(await samples(film)).toEqual((await samples(both)).slice(59_520, 107_520));
      expect(await frameHashes(film)).toEqual((await frameHashes(both)).slice(31, 56));
    });

    test("a fast trim begins at the keyframe before", async () => {
      const input = await makeClip({ container: "mkv", durationSeconds: 4, video: { gop: 25 } });
      const output = await trimmed(input, "part.mkv", [{ type: "trim", start: 1.5, end: 2.5, mode: "fast" }], major);
      const all = await frameHashes(input);
      const part = await frameHashes(output);
      expect(part[0]).toBe(all[25] ?? "");
      expect(part).toContain(all[61] ?? "");
    });

    test("thumbnails show what is on the screen at their times", async () => {
      const input = await makeClip({ durationSeconds: 4, video: { gop: 30 } });
      const all = await frameHashes(input);
      const at = async (time: number, ...before: unknown[]) => {
        const operations = [...before, { type: "thumbnail", time }];
        return (await frameHashes(await trimmed(input, "t.png", operations, major)))[0];
      };
      const close = async (time: number, frame: number, ...before: unknown[]) => {
        // RGB and back is not exact: the frame itself goes the same way.
        const same = await trimmed(
          input,
          "t.png",
          [
            { type: "trim", start: frame / 25 },
            { type: "thumbnail", time: 0 },
          ],
          major,
        );
        expect(await at(time, ...before)).toBe((await frameHashes(same))[0] ?? "");
      };
      expect(all).toHaveLength(100);
      await close(1.6, 40);
      await close(0.4, 35, { type: "trim", start: 1 });
    });
  });
}

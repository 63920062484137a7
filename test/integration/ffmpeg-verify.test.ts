/** Outputs of both FFmpegs: good ones pass, broken ones never do. */
import { describe, expect, test } from "bun:test";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { runStep } from "../../src/ffmpeg/step.ts";
import { verifyOutput } from "../../src/ffmpeg/verify.ts";
import type { Expectation } from "../../src/media/types.ts";
import { truncateFile } from "../support/media.ts";
import { bestRunner } from "../support/sandbox.ts";
import { failureOf, toOutput, toStep, VERSIONS, type Version } from "../support/steps.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const runner = bestRunner();

type Recipe = readonly [file: string, args: readonly string[], expect: Partial<Expectation>];

const size = { width: 64, height: 48 };
const film = (video: string, audio: string, sampleRate = 44_100): Partial<Expectation> => ({
  video: [{ codec: video, ...size, fps: 25 }],
  audio: [{ codec: audio, channels: 2, sampleRate }],
});
const sound = (codec: string, demuxer: string, sampleRate = 44_100): Partial<Expectation> => ({
  demuxers: [demuxer],
  audio: [{ codec, channels: 2, sampleRate }],
});
const picture = (codec: string, demuxer: string): Partial<Expectation> => ({
  ...{ demuxers: [demuxer], durationSeconds: null, still: true, video: [{ codec, ...size, fps: null }] },
});
const x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-g", "12", "-pix_fmt", "yuv420p"];
const vp9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuv420p"];
const one = ["-map", "0:v", "-frames:v", "1", "-update", "1"];

const RECIPES: readonly Recipe[] = [
  ["0.mp4", [...x264, "-c:a", "aac", "-movflags", "+faststart", "-f", "mp4"], film("h264", "aac")],
  ["1.mp4", [...x264, "-c:a", "aac", "-f", "mp4"], film("h264", "aac")],
  ["2.mov", ["-c:v", "prores_ks", "-c:a", "pcm_s16le", "-f", "mov"], film("prores", "pcm_s16le")],
  ["3.mkv", [...x264, "-c:a", "flac", "-f", "matroska"], { ...film("h264", "flac"), demuxers: ["matroska"] }],
  ["4.webm", [...vp9, "-c:a", "libopus", "-f", "webm"], { ...film("vp9", "opus", 48_000), demuxers: ["webm"] }],
  ["5.avi", ["-c:v", "mpeg4", "-c:a", "libmp3lame", "-f", "avi"], { ...film("mpeg4", "mp3"), demuxers: ["avi"] }],
  ["6.ts", [...x264, "-c:a", "aac", "-f", "mpegts"], { ...film("h264", "aac"), demuxers: ["mpegts"] }],
  [
    "7.mp4",
    [
      "-c:v",
      "libx265",
      "-preset",
      "ultrafast",
      "-x265-params",
      "pools=1:log-level=error",
      "-pix_fmt",
      "yuv420p10le",
      "-c:a",
      "aac",
      "-f",
      "mp4",
    ],
    film("hevc", "aac"),
  ],
  [
    "8.mp4",
    ["-c:v", "libsvtav1", "-preset", "12", "-pix_fmt", "yuv420p", "-s", "64x64", "-c:a", "ac3", "-f", "mp4"],
    { ...film("av1", "ac3"), video: [{ codec: "av1", width: 64, height: 64, fps: 25 }] },
  ],
  ["9.mp3", ["-map", "1:a", "-c:a", "libmp3lame", "-f", "mp3"], sound("mp3", "mp3")],
  ["10.wav", ["-map", "1:a", "-c:a", "pcm_s24le", "-f", "wav"], sound("pcm_s24le", "wav")],
  ["11.flac", ["-map", "1:a", "-c:a", "flac", "-f", "flac"], sound("flac", "flac")],
  ["12.ogg", ["-map", "1:a", "-c:a", "libvorbis", "-f", "ogg"], sound("vorbis", "ogg")],
  ["13.opus", ["-map", "1:a", "-c:a", "libopus", "-f", "opus"], sound("opus", "ogg", 48_000)],
  ["14.m4a", ["-map", "1:a", "-c:a", "alac", "-f", "ipod"], sound("alac", "mp4")],
  ["15.aac", ["-map", "1:a", "-c:a", "aac", "-f", "adts"], sound("aac", "aac")],
  ["16.ac3", ["-map", "1:a", "-c:a", "ac3", "-f", "ac3"], sound("ac3", "ac3")],
  [
    "17.gif",
    ["-map", "0:v", "-c:v", "gif", "-f", "gif"],
    { demuxers: ["gif"], video: [{ codec: "gif", ...size, fps: 25 }] },
  ],
  ["18.png", [...one, "-c:v", "png", "-f", "image2"], picture("png", "png_pipe")],
  ["19.jpg", [...one, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-f", "image2"], picture("mjpeg", "jpeg_pipe")],
  ["20.webp", [...one, "-c:v", "libwebp", "-pix_fmt", "yuv420p", "-f", "image2"], picture("webp", "webp_pipe")],
];

/** Streams of packets without an index or a length: a cut is only a shorter file. */
const CUTS_ARE_SHORTER = /\.(ts|mp3|aac|ac3)$/;

const sources = (seconds: number, dimensions = "64x48") => [
  ...["-f", "lavfi", "-i", `testsrc2=size=${dimensions}:rate=25:duration=${seconds}`],
  ...["-f", "lavfi", "-i", `sine=frequency=440:sample_rate=44100:duration=${seconds},aformat=channel_layouts=stereo`],
];

async function makeOutput(version: Version, [file, args]: Recipe, seconds = 1, dimensions?: string) {
  const workDir = await makeTempDir("verify");
  const step = toStep([...sources(seconds, dimensions), ...args, { file: `out/${file}` }], { memoryBytesMax: 8e9 });
  const limits = { stallTimeoutMs: 30_000, timeoutMs: 60_000 };
  await runStep({ runner: await runner, tools: version.tools(), step, workDir, readOnly: [], niceness: 0, ...limits });
  return workDir;
}

async function overwrite(path: string, share: number, bytes: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { size: total } = await file.stat();
    const noise = new Uint8Array(bytes).map((_, index) => (index * 7919 + (index >> 2) * 31) % 251);
    await file.write(noise, 0, bytes, Math.floor(total * share));
  } finally {
    await file.close();
  }
}

for (const version of VERSIONS) {
  const verify = async (workDir: string, [file, , wanted]: Recipe, change: Partial<Expectation> = {}) =>
    verifyOutput({
      ...{ runner: await runner, tools: version.tools(), workDir },
      output: toOutput(`out/${file}`, { ...wanted, ...change }),
    });

  describe(`verification by the ${version.name} ffprobe`, () => {
    test.each(RECIPES.map((recipe) => ({ file: recipe[0], recipe })))(
      "accepts a good $file, and refuses it cut off",
      async ({ recipe }) => {
        const workDir = await makeOutput(version, recipe);
        const media = await verify(workDir, recipe);
        expect(media.sizeBytes).toBeGreaterThan(0);
        const path = join(workDir, "out", recipe[0]);
        const whole = await Bun.file(path).bytes();
        for (const share of CUTS_ARE_SHORTER.test(recipe[0]) ? [0.6, 0.01] : [0.98, 0.6]) {
          await Bun.write(path, whole);
          await truncateFile(path, share);
          expect((await failureOf(verify(workDir, recipe))).kind).toBe("output.invalid");
        }
      },
    );

    test("names what differs, with both numbers", async () => {
      const recipe = RECIPES[1] as Recipe;
      const workDir = await makeOutput(version, recipe);
      const change = { video: [{ codec: "hevc", width: 66, height: 48, fps: 50 }], audio: [], durationSeconds: 2 };
      const { publicMessage } = await failureOf(verify(workDir, recipe, change));
      for (const words of ["h264 instead of hevc", "64x48 instead of 66x48", "instead of 50", "instead of 2.000"]) {
        expect(publicMessage).toContain(words);
      }
    });

    test("refuses what was not written, is empty, or is something else", async () => {
      const workDir = await makeTempDir("verify");
      const recipe = RECIPES[1] as Recipe;
      expect((await failureOf(verify(workDir, recipe))).publicMessage).toContain("was not written");
      await Bun.write(join(workDir, "out", recipe[0]), "");
      expect((await failureOf(verify(workDir, recipe))).publicMessage).toContain("is empty");
      await Bun.write(join(workDir, "out", recipe[0]), "text ".repeat(1000));
      expect(await failureOf(verify(workDir, recipe))).toMatchObject({
        ...{ kind: "output.invalid", publicMessage: expect.stringContaining("cannot be read") },
      });
    });

    // Long enough to be decoded in samples only.
    const LONG: readonly Recipe[] = [
      ["long.mp4", [...x264, "-g", "250", "-c:a", "aac", "-f", "mp4"], film("h264", "aac")],
      [
        "long.mkv",
        [
          "-c:v",
          "libx265",
          "-preset",
          "ultrafast",
          "-x265-params",
          "pools=1:log-level=error",
          "-c:a",
          "libmp3lame",
          "-f",
          "matroska",
        ],
        { ...film("hevc", "mp3"), demuxers: ["matroska"] },
      ],
      ["long.webm", [...vp9, "-c:a", "libvorbis", "-f", "webm"], { ...film("vp9", "vorbis"), demuxers: ["webm"] }],
      [
        "long.ts",
        ["-c:v", "mpeg2video", "-bf", "2", "-c:a", "ac3", "-f", "mpegts"],
        { ...film("mpeg2video", "ac3"), demuxers: ["mpegts"] },
      ],
    ];
    test.each(LONG.map((recipe) => ({ file: recipe[0], recipe })))(
      "samples a long $file at its start, middle and end",
      async ({ recipe }) => {
        const seconds = 30;
        const dimensions = { width: 320, height: 240 };
        const workDir = await makeOutput(version, recipe, seconds, "320x240");
        const video = (recipe[2].video ?? []).map((stream) => ({ ...stream, ...dimensions }));
        const change = { durationSeconds: seconds, durationToleranceSeconds: 0.2, video };
        expect((await verify(workDir, recipe, change)).durationSeconds).toBeCloseTo(seconds, 0);
        const path = join(workDir, "out", recipe[0]);
        const whole = await Bun.file(path).bytes();
        // The index of an mp4 is at its end: the windows are over its packets, not over the file.
        for (const share of [0.003, 0.5, 0.95]) {
          await Bun.write(path, whole);
          await overwrite(path, share, Math.floor(whole.length / 25));
          expect((await failureOf(verify(workDir, recipe, change))).kind).toBe("output.invalid");
        }
      },
    );

    test("holds a copy only to a sound container", async () => {
      const recipe = RECIPES[0] as Recipe;
      const workDir = await makeOutput(version, recipe);
      await overwrite(join(workDir, "out", recipe[0]), 0.6, 300);
      const request = { runner: await runner, tools: version.tools(), workDir };
      const output = toOutput(`out/${recipe[0]}`, recipe[2]);
      expect((await failureOf(verifyOutput({ ...request, output }))).kind).toBe("output.invalid");
      expect((await verifyOutput({ ...request, output, copied: true })).container).toBe("mp4");
      await truncateFile(join(workDir, "out", recipe[0]), 0.7);
      expect((await failureOf(verifyOutput({ ...request, output, copied: true }))).kind).toBe("output.invalid");
    });
  });
}

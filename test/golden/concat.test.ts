/** Joined files are there one behind the other, each in its shape and with its sound, for as long as it lasts. */
import { beforeAll, describe, expect, test } from "bun:test";
import { testEnv } from "../support/env.ts";
import { type ClipSpec, makeClip } from "../support/media.ts";
import { probe } from "./harness.ts";
import { convert, type Frame, framesOf, type Rgb } from "./pixels.ts";

/** Of 80x48 at 25 frames a second: what the others become. */
const RED: ClipSpec = {
  video: { width: 80, height: 48, source: "color=red" },
  audio: { frequency: 500, sampleRate: 48_000 },
};
/** Upright once it is turned. */
const GREEN: ClipSpec = {
  container: "mov",
  durationSeconds: 0.8,
  rotation: 90,
  video: { width: 96, height: 48, fps: 10, source: "color=lime" },
  audio: { channels: 2, sampleRate: 22_050, frequency: 1_000 },
};
const SILENT: ClipSpec = { container: "mkv", durationSeconds: 0.4, video: { fps: 50, source: "color=blue" } };
const BLIND: ClipSpec = { container: "wav", durationSeconds: 0.6, audio: { frequency: 2_000 } };

const near = (actual: Rgb | undefined, wanted: Rgb, within = 12): boolean =>
  (actual ?? []).filter((value, n) => Math.abs(value - (wanted[n] ?? 0)) <= within).length === 3;
const COLOURS: readonly (readonly [string, Rgb])[] = [
  ["red", [254, 0, 0]],
  ["green", [0, 255, 0]],
  ["blue", [0, 0, 254]],
  ["black", [0, 0, 0]],
];
const colourAt = (frame: Frame | undefined, x: number, y: number): string =>
  COLOURS.find(([, rgb]) => near(frame?.at(x, y), rgb))?.[0] ?? JSON.stringify(frame?.at(x, y));

/** `red×25 green×20`: what the middle of the film's frames shows. */
function runs(frames: readonly Frame[], x: number, y: number): string {
  const list: { colour: string; count: number }[] = [];
  for (const frame of frames) {
    const colour = colourAt(frame, x, y);
    const last = list.at(-1);
    if (last?.colour === colour) last.count += 1;
    else list.push({ colour, count: 1 });
  }
  return list.map(({ colour, count }) => `${colour}×${count}`).join(" ");
}

const SAMPLE_RATE = 48_000;

async function samplesOf(path: string): Promise<Int16Array> {
  const child = Bun.spawn(
    [testEnv().ffmpeg, "-nostdin", "-v", "error", "-i", path, "-map", "0:a:0", "-f", "s16le"].concat(
      ...["-ar", String(SAMPLE_RATE), "-ac", "1", "pipe:1"],
    ),
    { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  );
  return new Int16Array(await new Response(child.stdout).arrayBuffer());
}

/** Of a tone, by its zero crossings; 0 for silence. */
function pitch(samples: Int16Array, from: number, until: number): number {
  const part = samples.subarray(Math.round(from * SAMPLE_RATE), Math.round(until * SAMPLE_RATE));
  const loud = part.some((value) => Math.abs(value) > 200);
  let crossings = 0;
  for (let n = 1; n < part.length; n += 1) if ((part[n] ?? 0) >= 0 !== (part[n - 1] ?? 0) >= 0) crossings += 1;
  return loud ? crossings / 2 / (until - from) : 0;
}

for (const major of [5, 9] as const) {
  describe(`on FFmpeg ${major}`, () => {
    let all: string[] = [];
    beforeAll(async () => {
      all = await Promise.all([RED, GREEN, SILENT, BLIND].map(makeClip));
    });
    const join = async (inputs: readonly string[], operations: readonly unknown[], output = "film.mkv") => {
      const { paths, plan } = await convert({ inputs, output, operations, major });
      return { path: paths[0] ?? "", paths, plan };
    };
    const inputs = ["b", "c", "d"];

    test("unlike files, frame after frame and tone after tone", async () => {
      const { path } = await join(all, [
        { type: "concat", inputs },
        { type: "transcode", audio_codec: "flac" },
      ]);
      const frames = await framesOf(path);
      expect([frames[0]?.width, frames[0]?.height]).toEqual([80, 48]);
      expect(runs(frames, 40, 24)).toBe("red×25 green×20 blue×10 black×15");
      // A film that stands upright is 24 pixels wide in the middle, and one of 4:3 is 64.
      expect([20, 31, 48, 60].map((x) => colourAt(frames[35], x, 24))).toEqual(["black", "green", "green", "black"]);
      expect([4, 12, 68, 76].map((x) => colourAt(frames[48], x, 24))).toEqual(["black", "blue", "blue", "black"]);
      const samples = await samplesOf(path);
      expect(Math.abs(samples.length / SAMPLE_RATE - 2.8)).toBeLessThan(0.01);
      expect(pitch(samples, 0.1, 0.9)).toBeCloseTo(500, -1);
      expect(pitch(samples, 1.1, 1.7)).toBeCloseTo(1_000, -2);
      expect(pitch(samples, 1.85, 2.15)).toBe(0);
      expect(pitch(samples, 2.3, 2.7)).toBeCloseTo(2_000, -2);
      const { streams } = await probe(path);
      expect(streams.map((one) => (one.kind === "audio" ? [one.channels, one.sampleRate] : one.kind))).toEqual([
        "video",
        [2, 48_000],
      ]);
    }, 60_000);

    test("what stands before is about the first file, what stands behind about all", async () => {
      const operations = [
        { type: "trim", start: 0.2, duration: 0.6 },
        { type: "audio", volume: 0 },
        { type: "concat", inputs: inputs.slice(0, 2) },
        { type: "trim", start: 0.4 },
        { type: "crop", width: 40, x: 0 },
        { type: "thumbnail", time: 0.3 },
      ];
      const { paths } = await join(all.slice(0, 3), operations);
      const frames = await framesOf(paths[0] ?? "");
      expect(frames[0]?.width).toBe(40);
      expect(runs(frames, 38, 24)).toBe("red×5 green×20 blue×10");
      expect(colourAt((await framesOf(paths[1] ?? ""))[0], 38, 24)).toBe("green");
      const samples = await samplesOf(paths[0] ?? "");
      expect(pitch(samples, 0, 0.15)).toBe(0);
      expect(pitch(samples, 0.3, 0.9)).toBeCloseTo(1_000, -2);
    }, 60_000);

    test("a fade overlaps, and the film is so much shorter", async () => {
      const operations = [
        { type: "concat", inputs: ["b", "c"], transition: "fade", transition_duration: 0.2 },
        { type: "transcode", audio_codec: "flac" },
      ];
      const { path } = await join(all.slice(0, 3), operations);
      const frames = await framesOf(path);
      expect(frames).toHaveLength(25 + 20 + 10 - 2 * 5);
      expect([10, 28, 43].map((n) => colourAt(frames[n], 40, 24))).toEqual(["red", "green", "blue"]);
      const [red = 0, green = 0] = frames[22]?.at(40, 24) ?? [];
      expect(Math.min(red, green)).toBeGreaterThan(60);
      const samples = await samplesOf(path);
      expect(Math.abs(samples.length / SAMPLE_RATE - 1.8)).toBeLessThan(0.01);
      expect(pitch(samples, 0.1, 0.7)).toBeCloseTo(500, -1);
      expect(pitch(samples, 1.1, 1.3)).toBeCloseTo(1_000, -2);
      expect(pitch(samples, 1.65, 1.75)).toBe(0);
    }, 60_000);

    test("the first file decides on size and rate as the operations before it leave it", async () => {
      const operations = [
        { type: "scale", width: 40 },
        { type: "transcode", fps: 10, audio_channels: 1 },
        { type: "concat", inputs: ["b"] },
      ];
      const { path } = await join(all.slice(0, 2), operations);
      const frames = await framesOf(path);
      expect([frames[0]?.width, frames[0]?.height]).toEqual([40, 24]);
      expect(runs(frames, 20, 12)).toBe("red×10 green×8");
      const { streams } = await probe(path);
      expect(streams.flatMap((one) => (one.kind === "audio" ? [one.channels] : []))).toEqual([1]);
    }, 60_000);

    test("files without a picture are sound", async () => {
      const { path } = await join([all[3] ?? "", all[0] ?? ""], [{ type: "concat", inputs: ["a"] }], "sound.flac");
      const samples = await samplesOf(path);
      expect(Math.abs(samples.length / SAMPLE_RATE - 1.6)).toBeLessThan(0.01);
      expect(pitch(samples, 0.1, 0.5)).toBeCloseTo(2_000, -2);
      expect(pitch(samples, 0.7, 1.5)).toBeCloseTo(500, -1);
    }, 60_000);
  });
}

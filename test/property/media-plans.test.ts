/** Any request is either refused in words or becomes a plan that FFmpeg runs and that makes what it promised. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { RendiffError } from "../../src/errors.ts";
import { printArgs } from "../../src/media/argv.ts";
import { compile } from "../../src/media/compile.ts";
import { parseOperations } from "../../src/media/operations/parse.ts";
import { AUDIO_CODECS, VIDEO_CODECS } from "../../src/media/operations/transcode.schema.ts";
import type { MediaInfo, Plan } from "../../src/media/types.ts";
import { probe, runPlan, verifyPlan } from "../golden/harness.ts";
import { sampleCapabilities, sampleLimits } from "../support/capabilities.ts";
import { testEnv } from "../support/env.ts";
import { type ClipSpec, makeClip } from "../support/media.ts";

const CLIPS: readonly ClipSpec[] = [
  { video: {}, audio: { channels: 2 }, durationSeconds: 1 },
  { video: {}, rotation: 90, durationSeconds: 1 },
  {
    container: "mkv",
    video: { width: 65, height: 47, pixelFormat: "yuv444p" },
    audio: { channels: 6, encoder: "ac3" },
    subtitles: true,
  },
  { container: "mkv", video: { encoder: "libx265", pixelFormat: "yuv420p10le" } },
  { container: "ts", video: {}, audio: {} },
  { container: "webm", video: {}, audio: {} },
  { container: "avi", video: {}, audio: {} },
  { container: "mp3", audio: {}, cover: true },
  { container: "wav", audio: { channels: 2 } },
  { container: "png" },
  { container: "gif", video: { fps: 10 } },
  { video: { variableRate: true }, durationSeconds: 2 },
  { video: { sampleAspect: "4/3" }, durationSeconds: 1 },
];

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 3 });
const side = fc.oneof(fc.integer({ min: 1, max: 130 }), fc.constant("auto"));
const length = fc.oneof(
  fc.integer({ min: 0, max: 80 }),
  fc.integer({ min: 1, max: 150 }).map((n) => `${n}%`),
);
const time = fc.oneof(
  fc.double({ min: 0, max: 1.2, noNaN: true }).map((n) => Number(n.toFixed(3))),
  fc.constantFrom("0:00.25", "00:00:00.500"),
);
const record = (type: string, fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> =>
  fc.record(Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, maybe(value)]))).map((given) => ({
    type,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  }));

const operation = fc.oneof(
  record("transcode", {
    video_codec: fc.constantFrom(...VIDEO_CODECS, "copy", "none"),
    audio_codec: fc.constantFrom(...AUDIO_CODECS, "copy", "none"),
    crf: fc.integer({ min: 10, max: 60 }),
    preset: fc.constantFrom("ultrafast", "8", 12),
    fps: fc.constantFrom(10, 25, "30000/1001"),
    width: side,
    height: side,
    audio_bitrate: fc.constantFrom("64k", "128k"),
    audio_channels: fc.constantFrom(1, 2),
  }),
  record("transcode", {
    preset: fc.constantFrom("ultrafast", "8"),
    video_bitrate: fc.constantFrom("100k", "1M"),
    two_pass: fc.boolean(),
  }),
  record("trim", { start: time, duration: time, mode: fc.constantFrom("exact", "fast") }),
  record("scale", { width: side, height: side, mode: fc.constantFrom("fit", "fill", "stretch", "pad") }),
  record("crop", { x: length, y: length, width: length, height: length }),
  record("pad", { x: length, y: length, width: length, height: length, color: fc.constantFrom("red", "#00ff00") }),
  record("rotate", { angle: fc.constantFrom(0, 90, 180, 270) }),
  record("flip", { direction: fc.constantFrom("horizontal", "vertical", "both") }),
  record("audio", { volume: fc.constantFrom(0.5, "-3dB"), channels: fc.constantFrom(1, 2, 6), remove: fc.boolean() }),
  record("audio", { extract: fc.constant(true), format: fc.constantFrom("mp3", "flac", "opus", "m4a") }),
  record("thumbnail", { time, width: side, format: fc.constantFrom("jpg", "png", "webp") }),
  record("thumbnail", {
    mode: fc.constantFrom("multiple", "best"),
    count: fc.integer({ min: 1, max: 4 }),
    height: side,
  }),
);

const OUTPUTS =
  "a.mp4 a.mov a.mkv a.webm a.avi a.ts a.mpg a.m4a a.mp3 a.wav a.flac a.ogg a.opus a.gif a.jpg a.png a.webp".split(" ");

const request = fc.record({
  clip: fc.nat({ max: CLIPS.length - 1 }),
  output: fc.constantFrom(...OUTPUTS),
  operations: fc.array(operation, { maxLength: 4 }),
  options: fc.record({ strip_metadata: fc.boolean(), faststart: fc.boolean() }),
});

type Request = typeof request extends fc.Arbitrary<infer T> ? T : never;

interface Input {
  readonly path: string;
  readonly media: MediaInfo;
}

let loaded: Promise<Input[]> | null = null;

const inputs = (): Promise<Input[]> => {
  loaded ??= Promise.all(
    CLIPS.map(async (spec) => {
      const path = await makeClip(spec);
      return { path, media: await probe(path) };
    }),
  );
  return loaded;
};

function plan({ output, operations, options }: Request, media: MediaInfo, major: 5 | 9): Plan | RendiffError {
  try {
    return compile({
      operations: parseOperations(operations),
      options,
      outputName: output,
      inputs: [{ file: "in/0", media }],
      capabilities: { ...sampleCapabilities(major), ffprobeVersion: "5.1.9" },
      limits: sampleLimits,
      threads: 1,
    });
  } catch (error) {
    if (error instanceof RendiffError) return error;
    throw error;
  }
}

const REFUSALS = new Set(["request.invalid", "plan.invalid", "plan.unsupported", "limit.exceeded"]);

describe("plans", () => {
  test("are refused in a sentence or made, and the same each time", async () => {
    const all = await inputs();
    let made = 0;
    fc.assert(
      fc.property(request, (wanted) => {
        const input = all[wanted.clip];
        if (input === undefined) return;
        const first = plan(wanted, input.media, 9);
        if (first instanceof RendiffError) {
          expect(REFUSALS).toContain(first.kind);
          expect(first.publicMessage).toMatch(/^[A-Z].*[.?]$/s);
          expect(first.publicMessage).not.toMatch(/undefined|null|NaN|\[object/);
          return;
        }
        made += 1;
        expect(plan(wanted, input.media, 9)).toEqual(first);
        expect(first.steps.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1);
        expect(first.outputs.filter(({ name }) => name === null)).toHaveLength(1);
        expect(new Set(first.steps.map(({ id }) => id)).size).toBe(first.steps.length);
        expect(first.steps.flatMap(({ writes }) => writes).sort()).toEqual(
          first.outputs.map(({ file }) => file).sort(),
        );
        expect(JSON.parse(JSON.stringify(first))).toEqual(first);
      }),
      { numRuns: 1_500 },
    );
    expect(made).toBeGreaterThan(100);
  }, 30_000);

  test("hold a client's text in arguments of its own only", async () => {
    const [input] = await inputs();
    if (input === undefined) throw new Error("There is no input.");
    const secret = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
      .map((value) => `mark${value.replaceAll("\0", "")}er`);
    fc.assert(
      fc.property(
        secret.filter((value) => value.isWellFormed()),
        (value) => {
          const made = compile({
            operations: parseOperations([{ type: "scale", width: 32 }]),
            options: { metadata: { title: value } },
            outputName: `${value.replaceAll(/[/\\]/g, "_")}.mp4`,
            inputs: [{ file: "in/0", media: input.media }],
            capabilities: sampleCapabilities(9),
            limits: sampleLimits,
            threads: 1,
          });
          for (const step of made.steps) {
            const holding = printArgs(step.args, "/job").filter((argument) => argument.includes("mark"));
            expect(holding).toEqual([`title=${value}`]);
            expect(step.filterGraph).not.toContain("mark");
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  for (const major of [5, 9] as const) {
    test(`run on FFmpeg ${major} and make what they promise`, async () => {
      const all = await inputs();
      const ffmpeg = major === 5 ? testEnv().ffmpeg : testEnv().ffmpeg9;
      await fc.assert(
        fc.asyncProperty(request, async (wanted) => {
          const input = all[wanted.clip];
          if (input === undefined) return;
          const made = plan(wanted, input.media, major);
          if (made instanceof RendiffError) return;
          const ran = await runPlan(made, input.path, ffmpeg);
          expect(await verifyPlan(made, ran)).toEqual([]);
        }),
        {
          numRuns: testEnv().long ? 3_000 : 200,
          interruptAfterTimeLimit: testEnv().long ? 900_000 : 12_000,
          endOnFailure: !testEnv().long,
        },
      );
    }, 1_000_000);
  }
});

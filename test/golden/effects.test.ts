/** Filters and loudness by what is seen and heard. Each case fails when its parameter is dropped from the plan. */
import { describe, expect, test } from "bun:test";
import { parseOperations } from "../../src/media/operations/parse.ts";
import type { ClipSpec } from "../support/media.ts";
import {
  brightness,
  colourfulness,
  detail,
  difference,
  type Frame,
  framesOf,
  level,
  loudnessOf,
  type Major,
  make,
  samplesOf,
} from "./looks.ts";

const VERSIONS: readonly Major[] = [5, 9];
const film: ClipSpec = { durationSeconds: 2, video: {} };
const noisy: ClipSpec = { durationSeconds: 2, video: {}, audio: { channels: 2 } };
const clean = { type: "transcode", video_codec: "h264", crf: 12, preset: "ultrafast" };

const filtered = async (operation: object, clip: ClipSpec = film, major: Major = 9): Promise<Frame[]> => {
  const { files, problems } = await make({ clip, operations: [{ type: "filter", ...operation }, clean], major });
  expect(problems).toEqual([]);
  return framesOf(files[0] ?? "");
};

const first = (frames: readonly Frame[]): Frame => {
  const [frame] = frames;
  if (frame === undefined) throw new Error("there is no frame");
  return frame;
};

const at = (frames: readonly Frame[], share: number): number =>
  brightness(frames[Math.min(frames.length - 1, Math.floor(share * frames.length))] ?? first(frames));

/** Index of the frame that looks most like `wanted`. */
function nearest(wanted: Frame, frames: readonly Frame[]): number {
  const distances = frames.map((frame) => difference(wanted, frame));
  return distances.indexOf(Math.min(...distances));
}

for (const major of VERSIONS) {
  describe(`seen on FFmpeg ${major}`, () => {
    test("a fade out is dark at its end only", async () => {
      const frames = await filtered({ name: "fade_out", duration: 0.5 }, film, major);
      const plain = await filtered({ name: "brightness", value: 0 }, film, major);
      expect(at(frames, 0.99)).toBeLessThan(12);
      expect(at(frames, 0)).toBeCloseTo(at(plain, 0), 0);
      expect(at(frames, 0.7)).toBeCloseTo(at(plain, 0.7), 0);
    });

    test("a fade in is white at its beginning only", async () => {
      const frames = await filtered({ name: "fade_in", duration: 0.5, color: "white" }, film, major);
      const plain = await filtered({ name: "brightness", value: 0 }, film, major);
      expect(at(frames, 0)).toBeGreaterThan(240);
      expect(at(frames, 0.5)).toBeCloseTo(at(plain, 0.5), 0);
    });

    test("a trim takes the beginning of a fade away", async () => {
      const operations = [{ type: "filter", name: "fade_in", duration: 1 }, { type: "trim", start: 0.5 }, clean];
      const { files } = await make({ clip: film, operations, major });
      const frames = await framesOf(files[0] ?? "");
      const plain = at(await filtered({ name: "brightness", value: 0 }, film, major), 0.25);
      expect(at(frames, 0) / plain).toBeGreaterThan(0.35);
      expect(at(frames, 0) / plain).toBeLessThan(0.7);
    });

    test("twice the speed is half the length, of sound and picture", async () => {
      const operations = [{ type: "filter", name: "speed", factor: 2 }, clean];
      const { files, problems } = await make({ clip: noisy, operations, major });
      expect(problems).toEqual([]);
      const frames = await framesOf(files[0] ?? "");
      expect(Math.abs(frames.length - 25)).toBeLessThanOrEqual(1);
      const samples = await samplesOf(files[0] ?? "");
      expect(Math.abs(samples.length / 8_000 - 1)).toBeLessThan(0.08);
    });

    test("reversed, the last picture is the first", async () => {
      const frames = await filtered({ name: "reverse" }, film, major);
      const plain = await filtered({ name: "brightness", value: 0 }, film, major);
      expect(frames.length).toBe(plain.length);
      expect(nearest(first(frames), plain)).toBe(plain.length - 1);
    });

    test("a trim after reversing counts from the film's end", async () => {
      const operations = [{ type: "filter", name: "reverse" }, { type: "trim", start: 0.52, duration: 1 }, clean];
      const { files } = await make({ clip: film, operations, major });
      const frames = await framesOf(files[0] ?? "");
      const plain = await filtered({ name: "brightness", value: 0 }, film, major);
      expect(frames.length).toBe(25);
      expect(nearest(first(frames), plain)).toBe(50 - 13 - 1);
    });

    test("loudness comes within 1 LU of its target, and is told", async () => {
      const operations = [{ type: "audio", normalize: true, target_lufs: -23 }];
      const clip: ClipSpec = { durationSeconds: 4, audio: { channels: 2 }, container: "wav", video: null };
      const { files, loudness } = await make({ clip, output: "out.wav", operations, major });
      expect(Math.abs((await loudnessOf(files[0] ?? "")) + 23)).toBeLessThan(1);
      expect(loudness).toHaveLength(1);
      const [result] = loudness;
      expect(result?.mode).toBe("linear");
      expect(Math.abs((result?.achieved.lufs ?? 0) + 23)).toBeLessThan(1);
      expect(result?.measured.lufs).not.toBeNull();
    });
  });
}

describe("each filter does what its name says", () => {
  const pairs: readonly (readonly [string, object, object, (frame: Frame) => number, "less" | "more"])[] = [
    ["brightness", { value: 0.3 }, { value: -0.3 }, brightness, "more"],
    ["contrast", { value: 2 }, { value: 0.5 }, detail, "more"],
    ["saturation", { value: 2 }, { value: 0.3 }, colourfulness, "more"],
    ["gamma", { value: 2 }, { value: 0.5 }, brightness, "more"],
    ["sharpen", { strength: 4 }, { strength: 0.2 }, detail, "more"],
    ["blur", { radius: 6 }, { radius: 0.5 }, detail, "less"],
  ];
  for (const [name, strong, weak, measure, direction] of pairs) {
    test(`${name} by its number`, async () => {
      const [a, b] = [
        measure(first(await filtered({ name, ...strong }))),
        measure(first(await filtered({ name, ...weak }))),
      ];
      if (direction === "more") expect(a).toBeGreaterThan(b * 1.02);
      else expect(a).toBeLessThan(b * 0.98);
    });
  }

  test("denoise takes noise away, more of it when stronger", async () => {
    const grainy: ClipSpec = { durationSeconds: 1, video: { source: "color=gray", noise: 30 } };
    const [strong, weak] = [
      detail(first(await filtered({ name: "denoise", strength: 20 }, grainy))),
      detail(first(await filtered({ name: "denoise", strength: 0.1 }, grainy))),
    ];
    expect(strong).toBeLessThan(weak * 0.95);
  });

  test("hue turns colours, and a whole turn changes nothing", async () => {
    const plain = first(await filtered({ name: "hue", degrees: 360 }));
    expect(difference(first(await filtered({ name: "hue", degrees: 120 })), plain)).toBeGreaterThan(15);
    expect(difference(first(await filtered({ name: "hue", degrees: -360 })), plain)).toBeLessThan(3);
  });

  test("grayscale leaves no colour", async () => {
    expect(colourfulness(first(await filtered({ name: "grayscale" })))).toBeLessThan(4);
    expect(colourfulness(first(await filtered({ name: "brightness", value: 0 })))).toBeGreaterThan(30);
  });

  test("deinterlace by field doubles the pictures; by frame it does not", async () => {
    expect((await filtered({ name: "deinterlace", mode: "field", all: true })).length).toBe(100);
    expect((await filtered({ name: "deinterlace", all: true })).length).toBe(50);
  });

  test("tonemap brings HDR to what an ordinary screen shows", async () => {
    const clip: ClipSpec = {
      container: "mkv",
      durationSeconds: 1,
      video: { encoder: "libx265", pixelFormat: "yuv420p10le", hdr: true },
    };
    const mapped = first(await filtered({ name: "tonemap" }, clip));
    const other = first(await filtered({ name: "tonemap", algorithm: "clip" }, clip));
    const plain = first(await filtered({ name: "brightness", value: 0 }, clip));
    expect(difference(mapped, plain)).toBeGreaterThan(10);
    expect(difference(mapped, other)).toBeGreaterThan(1);
  });

  test("a fade takes the sound along, unless told not to", async () => {
    const heard = async (audio: boolean): Promise<Int16Array> => {
      const operations = [{ type: "filter", name: "fade_out", duration: 1, audio }, clean];
      return samplesOf((await make({ clip: noisy, operations })).files[0] ?? "");
    };
    const [faded, whole] = [await heard(true), await heard(false)];
    expect(level(faded, 1.8, 1.95)).toBeLessThan(level(whole, 1.8, 1.95) * 0.4);
    expect(level(faded, 0.2, 0.8)).toBeGreaterThan(level(whole, 0.2, 0.8) * 0.9);
  });

  test("stabilize smooths by the movements it found", async () => {
    const { plan, problems } = await make({ clip: film, operations: [{ type: "filter", name: "stabilize" }, clean] });
    expect(problems).toEqual([]);
    expect(plan.steps.map(({ id }) => id)).toEqual(["stabilize", "encode"]);
  });
});

describe("bad parameters are refused by name", () => {
  const refused = (operation: object): string => {
    try {
      parseOperations([{ type: "filter", ...operation }]);
    } catch (error) {
      return JSON.stringify((error as { details: unknown }).details);
    }
    return "accepted";
  };
  test.each([
    [{ name: "sepia" }, "operations[0].name"],
    [{ name: "blur", strength: 2 }, "is not a parameter of blur, which takes radius"],
    [{ name: "speed" }, "is needed for speed"],
    [{ name: "speed", factor: 40 }, "must be between 0.1 and 10 for speed"],
    [{ name: "grayscale", value: 1 }, "takes no parameters"],
    [{ name: "fade_in", duration: -1 }, "operations[0].duration"],
    [{ name: "stabilize", smoothing: 2.5 }, "must be a whole number"],
  ])("%p", (operation, words) => {
    expect(refused(operation)).toContain(words);
  });
});

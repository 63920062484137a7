/** A watermark is where it should be, as large and as strong as it should be, and no longer than it should be. */
import { beforeAll, describe, expect, test } from "bun:test";
import { makeClip } from "../support/media.ts";
import { convert, type Frame, framesOf } from "./pixels.ts";

const WIDTH = 100;
const HEIGHT = 60;
/** Of the frame before, 40 % gray; the mark is red, 20x10 of its own. */
const film = { video: { width: WIDTH, height: HEIGHT, source: "color=gray" } };
const mark = { container: "png", video: { width: 20, height: 10, source: "color=red" } };

const isMarked = (frame: Frame | undefined, x: number, y: number): boolean => {
  const [r, g] = frame?.at(x, y) ?? [0, 0];
  return r - g > 25;
};

/** The rectangle that is marked. */
function bounds(frame: Frame | undefined) {
  let [left, top, right, bottom] = [WIDTH, HEIGHT, -1, -1];
  for (let y = 0; y < HEIGHT; y += 1)
    for (let x = 0; x < WIDTH; x += 1) {
      if (!isMarked(frame, x, y)) continue;
      [left, top] = [Math.min(left, x), Math.min(top, y)];
      [right, bottom] = [Math.max(right, x), Math.max(bottom, y)];
    }
  return { left, top, width: right - left + 1, height: bottom - top + 1 };
}

/** Colours are stored for pairs of pixels. */
const near = (actual: ReturnType<typeof bounds>, left: number, top: number, width: number, height: number): void => {
  expect(Math.abs(actual.left - left)).toBeLessThanOrEqual(1);
  expect(Math.abs(actual.top - top)).toBeLessThanOrEqual(1);
  expect(Math.abs(actual.width - width)).toBeLessThanOrEqual(2);
  expect(Math.abs(actual.height - height)).toBeLessThanOrEqual(2);
};

for (const major of [5, 9] as const) {
  describe(`on FFmpeg ${major}`, () => {
    let inputs: string[] = [];
    beforeAll(async () => {
      inputs = await Promise.all([makeClip(film), makeClip(mark)]);
    });
    const marked = async (parameters: Record<string, unknown>, ...more: unknown[]) => {
      const operations = [{ type: "watermark", image: "logo.png", ...parameters }, ...more];
      const { paths } = await convert({ inputs, output: "film.mp4", operations, major });
      return Promise.all(paths.map(framesOf));
    };

    test("by default a tenth of the width, in the bottom right, at four fifths of its strength", async () => {
      const [frames = []] = await marked({});
      expect(frames).toHaveLength(25);
      near(bounds(frames[0]), 88, 53, 10, 5);
      const [r = 0] = frames[12]?.at(92, 55) ?? [];
      // 0.8 of 255 and 0.2 of 128.
      expect(r).toBeGreaterThan(210);
      expect(r).toBeLessThan(245);
    });

    test("position and scale", async () => {
      const [frames = []] = await marked({ position: "top-left", scale: 0.4 });
      near(bounds(frames[3]), 2, 2, 40, 20);
    });

    test("x and y, from either edge", async () => {
      const [frames = []] = await marked({ x: 30, y: -20, scale: 0.2 });
      near(bounds(frames[3]), 30, 30, 20, 10);
    });

    test("opacity", async () => {
      const [frames = []] = await marked({ position: "center", opacity: 0.3, scale: 0.4 });
      const [r = 0] = frames[0]?.at(50, 30) ?? [];
      expect(r).toBeGreaterThan(150);
      expect(r).toBeLessThan(185);
    });

    test("start and end, in the time of where it stands among the operations", async () => {
      const parameters = { position: "center", scale: 0.4, start: 0.2, end: 0.6 };
      const [before = []] = await marked(parameters, { type: "trim", start: 0.4 });
      expect(before.map((frame) => isMarked(frame, 50, 30))).toEqual(Array.from({ length: 15 }, (_, n) => n < 5));
      const [frames = []] = await marked(parameters);
      expect(frames.map((frame) => isMarked(frame, 50, 30))).toEqual(
        Array.from({ length: 25 }, (_, n) => n >= 5 && n < 15),
      );
    });

    test("a thumbnail has it when its moment has", async () => {
      const parameters = { position: "center", scale: 0.4, start: 0.5 };
      const at = (time: number) => ({ type: "thumbnail", time, output: `at-${time * 10}.png` });
      const [, early = [], late = []] = await marked(parameters, at(0.2), at(0.7));
      expect(isMarked(early[0], 50, 30)).toBe(false);
      expect(isMarked(late[0], 50, 30)).toBe(true);
    });

    test("a moving one plays from its start on, and neither ends nor lengthens the film", async () => {
      const turns = { container: "mp4", durationSeconds: 2, video: { width: 40, height: 20, source: "color=red" } };
      const [clip] = inputs;
      const operations = [{ type: "watermark", image: "a.mp4", position: "center", scale: 0.4, start: 0.4 }];
      const moving = [clip ?? "", await makeClip(turns)];
      const { paths } = await convert({ inputs: moving, output: "film.mp4", operations, major });
      const frames = await framesOf(paths[0] ?? "");
      expect(frames.map((frame) => isMarked(frame, 50, 30))).toEqual(Array.from({ length: 25 }, (_, n) => n >= 10));
    });
  });
}

/** Text is drawn where, when and how it was asked for, as it was written. */
import { beforeAll, describe, expect, test } from "bun:test";
import { makeClip } from "../support/media.ts";
import { convert, type Frame, framesOf, type Rgb, spread } from "./pixels.ts";

const WIDTH = 160;
const HEIGHT = 120;
const film = { video: { width: WIDTH, height: HEIGHT, source: "color=black" } };

type Test = (rgb: Rgb) => boolean;
const white: Test = ([r, g, b]) => r > 150 && g > 150 && b > 150;
const red: Test = ([r, g, b]) => r > 120 && g < 80 && b < 80;
const blue: Test = ([r, g, b]) => b > 150 && r < 80 && g < 80;

for (const major of [5, 9] as const) {
  describe(`on FFmpeg ${major}`, () => {
    let inputs: string[] = [];
    beforeAll(async () => {
      inputs = [await makeClip(film)];
    });
    const drawn = async (parameters: Record<string, unknown>, ...more: unknown[]) => {
      const operations = [{ type: "text", text: "HHHH", font_size: 20, ...parameters }, ...more];
      const { paths } = await convert({ inputs, output: "film.mp4", operations, major });
      return Promise.all(paths.map(framesOf));
    };

    test("by default white, at the bottom, in the middle, a twentieth high", async () => {
      const [frames = []] = await drawn({ font_size: undefined });
      expect(frames).toHaveLength(25);
      const { left, right, top, bottom, count } = spread(frames[0], ([r]) => r > 80);
      expect(count).toBeGreaterThan(20);
      expect(Math.abs((left + right) / 2 - WIDTH / 2)).toBeLessThan(3);
      expect(top).toBeGreaterThan(HEIGHT - 16);
      expect(bottom - top).toBeLessThan(9);
    });

    test("position and font_size", async () => {
      const [frames = []] = await drawn({ position: "top-right" });
      const large = spread(frames[0], white);
      expect(large.right).toBeGreaterThan(WIDTH - 10);
      expect(large.top).toBeLessThan(12);
      expect(large.bottom - large.top).toBeGreaterThan(11);
      const [smaller = []] = await drawn({ position: "top-right", font_size: 12 });
      expect(spread(smaller[0], white).left).toBeGreaterThan(large.left + 10);
    });

    test("x and y", async () => {
      const [frames = []] = await drawn({ x: 60, y: "50%" });
      const { left, top } = spread(frames[0], white);
      expect(Math.abs(left - 61)).toBeLessThanOrEqual(3);
      expect(Math.abs(top - 60)).toBeLessThanOrEqual(4);
    });

    test("color and box", async () => {
      const [frames = []] = await drawn({ position: "center", color: "red", box: "blue" });
      expect(spread(frames[0], red).count).toBeGreaterThan(50);
      const box = spread(frames[0], blue);
      expect(box.right - box.left).toBeGreaterThan(spread(frames[0], red).right - spread(frames[0], red).left + 4);
      const [bare = []] = await drawn({ position: "center", color: "red" });
      expect(spread(bare[0], blue).count).toBe(0);
    });

    test("start and end, also after a trim and in a thumbnail", async () => {
      const timed = { position: "center", start: 0.2, end: 0.6 };
      const shown = (frames: Frame[]) => frames.map((frame) => spread(frame, white).count > 0);
      const [frames = []] = await drawn(timed);
      expect(shown(frames)).toEqual(Array.from({ length: 25 }, (_, n) => n >= 5 && n < 15));
      const thumbnails = [0.1, 0.4].map((time, n) => ({ type: "thumbnail", time, output: `${n}.png` }));
      const [, before = [], during = []] = await drawn(timed, ...thumbnails);
      expect([...shown(before), ...shown(during)]).toEqual([false, true]);
      const [cut = []] = await drawn(timed, { type: "trim", start: 0.4 });
      expect(shown(cut)).toEqual(Array.from({ length: 15 }, (_, n) => n < 5));
    });

    test("several lines stand below each other, and nothing in them is a command", async () => {
      const [one = []] = await drawn({ text: "%{pts} %{n}", position: "top-left" });
      const [two = []] = await drawn({ text: "%{pts}\n%{n}", position: "top-left" });
      expect(spread(two[0], white).bottom).toBeGreaterThan(spread(one[0], white).bottom + 12);
      // Expanded, it would say another time and number in each picture.
      const first = spread(one[0], white);
      for (const frame of one) expect(Math.abs(spread(frame, white).count - first.count)).toBeLessThan(12);
      expect(new Set(one.map((frame) => spread(frame, white).right)).size).toBeLessThanOrEqual(2);
    });
  });
}

import { describe, expect, test } from "bun:test";
import { bitrateFor, type LadderSource, ladderOf, rungOf } from "./ladder.ts";

const source = (width: number, height: number, more: Partial<LadderSource> = {}): LadderSource => ({
  ...{ width, height, fps: { num: 25, den: 1 }, bitrate: null },
  ...more,
});
const sizes = (one: LadderSource): string[] => ladderOf(one).map(({ width, height }) => `${width}x${height}`);

describe("the default ladder", () => {
  const cases: readonly [string, LadderSource, string[]][] = [
    ["1080p", source(1920, 1080), ["1920x1080", "1280x720", "854x480", "640x360", "426x240"]],
    ["upright", source(1080, 1920), ["1080x1920", "720x1280", "480x854", "360x640", "240x426"]],
    ["a wide film", source(1920, 800), ["1920x800", "1280x534", "854x356", "640x266", "428x178"]],
    ["4:3", source(640, 480), ["640x480", "480x360", "320x240"]],
    ["between two rungs", source(1000, 562), ["1000x562", "640x360", "428x240"]],
    ["smaller than all", source(160, 120), ["160x120"]],
    ["odd sides", source(161, 121), ["160x120"]],
    ["a single column", source(2, 300), ["2x300"]],
  ];
  for (const [name, one, expected] of cases) {
    test(name, () => {
      expect(sizes(one)).toEqual(expected);
    });
  }

  test("nothing is larger than the source, every side is even, and each rung is cheaper than the one above", () => {
    for (const [width, height] of [
      [1920, 1080],
      [719, 1281],
      [3840, 1600],
      [7680, 4320],
      [500, 500],
    ] as const) {
      const rungs = ladderOf(source(width, height));
      expect(rungs.length).toBeLessThanOrEqual(6);
      rungs.forEach((rung, index) => {
        expect(rung.width).toBeLessThanOrEqual(width);
        expect(rung.height).toBeLessThanOrEqual(height);
        expect([rung.width % 2, rung.height % 2]).toEqual([0, 0]);
        if (index > 0) expect(rung.bitrate).toBeLessThanOrEqual((rungs[index - 1]?.bitrate ?? 0) * 0.75);
      });
    }
  });

  test("nothing has more bits than the source, and rungs that would be alike are left out", () => {
    const rungs = ladderOf(source(1920, 1080, { bitrate: 900_000 }));
    expect(rungs.map(({ bitrate }) => bitrate)).toEqual([900_000, 399_000]);
    expect(rungs[0]).toMatchObject({ width: 1920, height: 1080 });
  });

  test("a fast film keeps its rate where it is large, has half of it where it is small, and more bits for it", () => {
    const rungs = ladderOf(source(1280, 720, { fps: { num: 60_000, den: 1_001 } }));
    expect(rungs.map(({ fps }) => fps.num / fps.den > 32)).toEqual([true, true, false, false]);
    expect(rungs.at(-1)?.fps).toEqual({ num: 30_000, den: 1_001 });
    expect(rungs[0]?.bitrate).toBe(4_200_000);
  });
});

describe("a rendition that was asked for", () => {
  test("has the picture's shape, or the one it is given", () => {
    expect(rungOf({ height: 360 }, source(1920, 1080))).toMatchObject({ width: 640, height: 360 });
    expect(rungOf({ height: 360 }, source(1080, 1920))).toMatchObject({ width: 360, height: 640 });
    expect(rungOf({ height: 360, width: 480 }, source(1920, 1080))).toMatchObject({ width: 480, height: 360 });
    expect(rungOf({ height: 360, codec: "av1", bitrate: 5 }, source(1920, 1080))).toMatchObject({
      codec: "av1",
      bitrate: 5,
    });
  });

  test("is never larger or faster than the source", () => {
    expect(rungOf({ height: 1080 }, source(1280, 720))).toContain("never larger");
    expect(rungOf({ height: 720, width: 1400 }, source(1280, 720))).toContain("never larger");
    expect(rungOf({ height: 720, fps: { num: 50, den: 1 } }, source(1280, 720))).toContain("50.000 frames");
  });

  test("costs less in a better codec", () => {
    expect(bitrateFor(1280 * 720, 25, "h264")).toBe(2_800_000);
    expect(bitrateFor(1280 * 720, 25, "h265")).toBe(1_820_000);
  });
});

import { describe, expect, test } from "bun:test";
import { makeProgressParser, type ProgressOptions } from "./progress.ts";
import type { EncodeProgress } from "./types.ts";

/** As FFmpeg 5.1 prints a block; 9.0 differs only in the order and in more lines for quality. */
const block = (frame: string, micros: string, speed: string, end = "continue") => `frame=${frame}
fps=45.20
stream_0_0_q=28.0
bitrate= 123.4kbits/s
total_size=${frame}
out_time_us=${micros}
out_time_ms=${micros}
out_time=00:00:00.000000
dup_frames=0
drop_frames=0
speed=${speed}
progress=${end}`;

function parse(options: ProgressOptions, ...blocks: readonly string[]): EncodeProgress[] {
  const parser = makeProgressParser(options);
  return blocks.flatMap((text) => text.split("\n").flatMap((line) => parser.push(line) ?? []));
}

describe("progress", () => {
  test("comes once for each block, with rate, speed and what is left", () => {
    const [half, ...rest] = parse({ durationSeconds: 10 }, block("125", "5000000", " 2.5x"));
    expect(rest).toEqual([]);
    expect(half).toEqual({ percent: 50, frame: 125, fps: 45.2, speed: 2.5, etaSeconds: 2, outSeconds: 5 });
  });

  test("is 100 only at the end, even if more comes than was expected", () => {
    const all = parse({ durationSeconds: 10 }, block("300", "12000000", "1x"), block("300", "12000000", "1x", "end"));
    expect(all.map((one) => one.percent)).toEqual([99.9, 100]);
    expect(all[1]?.etaSeconds).toBe(0);
  });

  test("never goes back", () => {
    const all = parse({ durationSeconds: 10 }, block("1", "5000000", "1x"), block("2", "4000000", "1x"));
    expect(all.map((one) => one.percent)).toEqual([50, 50]);
  });

  test("survives N/A and times before the start", () => {
    const [first, second] = parse({ durationSeconds: 10 }, block("0", "N/A", "N/A"), block("1", "-577014000000", "0x"));
    expect(first).toEqual({ percent: 0, frame: 0, fps: 45.2, speed: null, etaSeconds: null, outSeconds: null });
    expect(second).toMatchObject({ percent: 0, outSeconds: 0, etaSeconds: null });
  });

  test("goes by frames where the time is not known", () => {
    const [one] = parse({ durationSeconds: null, frameCount: 50 }, block("25", "N/A", "1x"));
    expect(one).toMatchObject({ percent: 50, etaSeconds: null });
    expect(parse({ durationSeconds: null }, block("25", "1000000", "1x"))[0]?.percent).toBe(0);
  });

  test("has a mark that changes when anything was done, and only then", () => {
    const parser = makeProgressParser({ durationSeconds: 10 });
    const mark = (text: string) => {
      for (const line of text.split("\n")) parser.push(line);
      return parser.mark();
    };
    const first = mark(block("1", "40000", "1x"));
    expect(mark(block("1", "40000", "0.5x"))).toBe(first);
    expect(mark(block("2", "40000", "0.5x"))).not.toBe(first);
  });

  test("ignores what is no progress", () => {
    expect(parse({ durationSeconds: 1 }, "garbage\n\n=\nprogress")).toEqual([]);
  });
});

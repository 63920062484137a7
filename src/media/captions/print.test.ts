import { describe, expect, test } from "bun:test";
import { parseCaptions } from "./parse.ts";
import { printCaptions } from "./print.ts";

const WHOLE = { shiftSeconds: 0, scale: 1, endSeconds: null } as const;

function rewritten(text: string, to: "srt" | "vtt", endSeconds: number | null = null): string {
  const captions = parseCaptions(text);
  if (captions === null) throw new Error("It was not read.");
  return printCaptions(captions, { to, retiming: { ...WHOLE, endSeconds } });
}

describe("a track", () => {
  test("has no empty line inside a cue, whatever its runs of text make together", () => {
    const text = "1\n00:00:01,000 --> 00:00:02,000\none<b></b>\n<b></b>\ntwo\n";
    expect(rewritten(text, "srt")).toBe("1\n00:00:01,000 --> 00:00:02,000\none\ntwo\n");
  });

  test("has no arrow but those of its times", () => {
    const text = "1\n00:00:01,000 --> 00:00:02,000\none --<i></i>> two\n";
    expect(rewritten(text, "srt").split("-->")).toHaveLength(2);
    expect(rewritten(text, "vtt").split("-->")).toHaveLength(2);
  });

  test("of which nothing is left holds a space that nobody sees", () => {
    const text = "1\n00:00:05,000 --> 00:00:06,000\nlate\n";
    expect(rewritten(text, "vtt", 2)).toBe("WEBVTT\n\n00:00:00.000 --> 00:00:00.001\n\u00a0\n");
  });
});

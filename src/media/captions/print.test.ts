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

describe("a long row of anything", () => {
  const LENGTH = 1_000_000;
  const timed = "1\n00:00:01,000 --> 00:00:02,000\n";
  const script = (events: string) => `[Script Info]\n[Events]\n${events}`;
  const dialogue = "Format: Start, End, Text\nDialogue: 0:00:01.00,0:00:02.00,";
  const fields = ",a".repeat(LENGTH / 2);

  test.each([
    ["spaces inside a line", `${timed}a${" ".repeat(LENGTH)}b`],
    ["spaces that do not break", `${timed}${"\u00a0 ".repeat(LENGTH / 2)}`],
    ["tags that never end", `${timed}${"<b ".repeat(LENGTH / 3)}`],
    ["tags", `${timed}${"<b>x</b>".repeat(LENGTH / 8)}`],
    ["blocks that never end", script(`${dialogue}${"{\\b1".repeat(LENGTH / 4)}`)],
    ["blocks", script(`${dialogue}${"{\\b1}x".repeat(LENGTH / 6)}`)],
    ["fields, and events without times", script(`Format: Text${fields}\n${"Dialogue: 0\n".repeat(20_000)}`)],
    ["digits", `${timed}${"00:00:01,000 -->".repeat(LENGTH / 16)}`],
  ])("of %s is read in no time", (_, text) => {
    const startedAt = performance.now();
    const captions = parseCaptions(text);
    if (captions !== null) printCaptions(captions, { to: "vtt", retiming: WHOLE });
    // What is looked at anew at each of its characters takes minutes.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});

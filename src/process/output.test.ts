import { describe, expect, test } from "bun:test";
import { makeLineSplitter, makeTail } from "./output.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function split(chunks: readonly (string | Uint8Array)[], lineMax?: number): string[] {
  const lines: string[] = [];
  const splitter = makeLineSplitter((line) => lines.push(line), lineMax);
  for (const chunk of chunks) splitter.push(typeof chunk === "string" ? bytes(chunk) : chunk);
  splitter.end();
  return lines;
}

describe("lines of stdout", () => {
  test("come whole, however they were cut into chunks", () => {
    expect(split(["a=1\nb", "=2\r\n", "\nc"])).toEqual(["a=1", "b=2", "", "c"]);
  });

  test("keep characters that were cut between chunks", () => {
    const [first, second] = [bytes("é\n").slice(0, 1), bytes("é\n").slice(1)];
    expect(split([first, second])).toEqual(["é"]);
  });

  test("are cut at their limit, and the rest of such a line is dropped", () => {
    expect(split(["aaaa", "aaaaaa", "aaaa\nb\n"], 8)).toEqual(["aaaaaaaa", "b"]);
    expect(split(["aaaaaaaaaa\nb"], 8)).toEqual(["aaaaaaaa", "b"]);
  });

  test("are delivered at once, not when the next one comes", () => {
    const lines: string[] = [];
    makeLineSplitter((line) => lines.push(line)).push(bytes("progress=continue\n"));
    expect(lines).toEqual(["progress=continue"]);
  });
});

describe("the tail of stderr", () => {
  const tailOf = (bytesMax: number, chunks: readonly string[]) => {
    const tail = makeTail(bytesMax);
    for (const chunk of chunks) tail.push(bytes(chunk));
    return tail.text();
  };

  test("is all of it while it is short", () => expect(tailOf(10, ["abc", "def"])).toBe("abcdef"));

  test("is its end when it is long, in one chunk or in many", () => {
    expect(tailOf(4, ["abcdefgh"])).toBe("efgh");
    expect(tailOf(4, [..."abcdefghijklmnop"])).toBe("mnop");
    expect(tailOf(4, ["abc", "defghij", "k"])).toBe("hijk");
    const long = "0123456789".repeat(1_000);
    expect(tailOf(3_000, ["ab", long, "c", long, "de"])).toBe(`${long}de`.slice(-3_000));
    expect(tailOf(30_000, ["ab", long, "c", long, "de"])).toBe(`ab${long}c${long}de`);
  });

  test("does not begin with half a character", () => expect(tailOf(4, ["xxéab€"])).toBe("b€"));
});

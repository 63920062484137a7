import { describe, expect, test } from "bun:test";
import { parseDotenv } from "./dotenv.ts";

const valueFrom = (line: string): string | undefined => parseDotenv(line).values.get("A");

describe("parseDotenv", () => {
  test.each([
    ["A=1", "1"],
    ["  A = spaced out  ", "spaced out"],
    ["export A=1", "1"],
    ["A=", ""],
    ["A=a=b", "a=b"],
    ["A=1 # comment", "1"],
    ["A=# comment", ""],
    ["A=pass#word", "pass#word"],
    ["A=$HOME and $(id)", "$HOME and $(id)"],
    ["A='single $x \\n # kept'", "single $x \\n # kept"],
    ["A='' # empty", ""],
    ['A="two\\nlines \\"quoted\\" \\\\ \\$"', 'two\nlines "quoted" \\ $'],
    ['A="#no comment" # comment', "#no comment"],
    ["\uFEFFA=bom", "bom"],
  ])("%p gives %p", (line, wanted) => {
    expect(parseDotenv(line).problems).toEqual([]);
    expect(valueFrom(line)).toBe(wanted);
  });

  test("reads lines with either line end, and skips comments and empty ones", () => {
    const { values, problems } = parseDotenv("# one\r\nA=1\r\n\r\nB=2\n");
    expect([...values]).toEqual([
      ["A", "1"],
      ["B", "2"],
    ]);
    expect(problems).toEqual([]);
  });

  test("reports what is no assignment by its line, without its text", () => {
    const { values, problems } = parseDotenv("A=1\nhunter2\n1B=2\nC='open\nD=\"open\nE='a' b\nA=3");
    expect([...values]).toEqual([["A", "1"]]);
    expect(problems.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6, 7]);
    expect(JSON.stringify(problems)).not.toContain("hunter2");
  });
});

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeParam, PARSERS, parseArray } from "./codec.ts";
import { json } from "./sql.ts";

const parser = (oid: number) => (text: string) => PARSERS[oid]?.(text);

describe("encodeParam", () => {
  test("leaves the type to the statement unless the value says it all", () => {
    expect(encodeParam("a")).toEqual({ text: "a", oid: 0 });
    expect(encodeParam(1.5)).toEqual({ text: "1.5", oid: 0 });
    expect(encodeParam(2n ** 60n)).toEqual({ text: "1152921504606846976", oid: 0 });
    expect(encodeParam(null)).toEqual({ text: null, oid: 0 });
    expect(encodeParam(true)).toEqual({ text: "t", oid: 16 });
    expect(encodeParam(new Date(0))).toEqual({ text: "1970-01-01T00:00:00.000Z", oid: 1184 });
    expect(encodeParam(Uint8Array.of(0, 255))).toEqual({ text: "\\x00ff", oid: 17 });
    expect(encodeParam(json("a"))).toEqual({ text: '"a"', oid: 3802 });
  });

  test("refuses what has no SQL value", () => {
    for (const value of [undefined, {}, [{}], [["nested"]], json(undefined)]) {
      expect(() => encodeParam(value as never)).toThrow(TypeError);
    }
  });
});

describe("arrays", () => {
  test("any texts come back as they were sent", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary" })), (texts) => {
        expect(parseArray(encodeParam(texts).text ?? "", (text) => text)).toEqual(texts);
      }),
    );
  });

  test("as Postgres writes them", () => {
    expect(parser(1009)(`{a,NULL,"NULL","a b","a\\"b","a\\\\b",""}`)).toEqual([
      "a",
      null,
      "NULL",
      "a b",
      'a"b',
      "a\\b",
      "",
    ]);
    expect(parser(1007)("{1,-2}")).toEqual([1, -2]);
    expect(parser(1000)("{t,f}")).toEqual([true, false]);
    expect(parser(1009)("{}")).toEqual([]);
  });
});

describe("times", () => {
  test.each([
    ["2026-01-02 03:04:05.678901+00", "2026-01-02T03:04:05.678Z"],
    ["2026-01-02 03:04:05+05:30", "2026-01-01T21:34:05.000Z"],
    ["2026-01-02 03:04:05-08", "2026-01-02T11:04:05.000Z"],
  ])("timestamptz %s", (text, iso) => expect(parser(1184)(text)).toEqual(new Date(iso)));

  test("a date is its midnight in UTC, a timestamp without a zone is UTC", () => {
    expect(parser(1082)("2026-01-02")).toEqual(new Date("2026-01-02T00:00:00Z"));
    expect(parser(1114)("2026-01-02 03:04:05.5")).toEqual(new Date("2026-01-02T03:04:05.500Z"));
  });
});

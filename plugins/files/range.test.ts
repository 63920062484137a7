import { expect, test } from "bun:test";
import { contentDisposition } from "./files.ts";
import { isNotModified, parseRange, rangeStillApplies } from "./range.ts";

test("ranges as RFC 9110 reads them", () => {
  const cases: readonly [string | null, number, unknown][] = [
    [null, 10, "whole"],
    ["bytes=0-0", 10, { start: 0, end: 1 }],
    ["bytes=2-4", 10, { start: 2, end: 5 }],
    ["bytes=5-", 10, { start: 5, end: 10 }],
    ["bytes=5-99", 10, { start: 5, end: 10 }],
    ["bytes=-3", 10, { start: 7, end: 10 }],
    ["bytes=-99", 10, { start: 0, end: 10 }],
    ["bytes=-0", 10, "unsatisfiable"],
    ["bytes=10-", 10, "unsatisfiable"],
    ["bytes=0-", 0, "unsatisfiable"],
    ["bytes=5-2", 10, "whole"],
    ["bytes=-", 10, "whole"],
    ["bytes=0-1,4-5", 10, "whole"],
    ["items=0-1", 10, "whole"],
    ["bytes=a-b", 10, "whole"],
    ["bytes=99999999999999999999-", 10, "whole"],
  ];
  for (const [header, size, expected] of cases)
    expect([header, parseRange(header, size)]).toEqual([header, expected] as never);
});

const validators = { etag: '"abc"', modifiedAt: new Date("2026-01-02T03:04:05.678Z") };

test("a client that has the file already gets no bytes", () => {
  const check = (headers: Record<string, string>): boolean => isNotModified(new Headers(headers), validators);
  expect(check({})).toBe(false);
  expect(check({ "if-none-match": '"abc"' })).toBe(true);
  expect(check({ "if-none-match": 'W/"abc"' })).toBe(true);
  expect(check({ "if-none-match": '"x", "abc"' })).toBe(true);
  expect(check({ "if-none-match": "*" })).toBe(true);
  expect(check({ "if-none-match": '"x"' })).toBe(false);
  expect(check({ "if-modified-since": "Fri, 02 Jan 2026 03:04:05 GMT" })).toBe(true);
  expect(check({ "if-modified-since": "Fri, 02 Jan 2026 03:04:04 GMT" })).toBe(false);
  expect(check({ "if-none-match": '"x"', "if-modified-since": "Fri, 02 Jan 2026 03:04:05 GMT" })).toBe(false);
});

test("a part of another version is never mixed with this one", () => {
  const check = (value: string): boolean => rangeStillApplies(new Headers({ "if-range": value }), validators);
  expect(rangeStillApplies(new Headers(), validators)).toBe(true);
  expect(check('"abc"')).toBe(true);
  expect(check('W/"abc"')).toBe(false);
  expect(check('"x"')).toBe(false);
  expect(check("Fri, 02 Jan 2026 03:04:05 GMT")).toBe(true);
  expect(check("Fri, 02 Jan 2026 03:04:06 GMT")).toBe(false);
});

test("a hostile name cannot leave its header", () => {
  expect(contentDisposition('a/b"\r\nSet-Cookie: x; ü.mp4')).toBe(
    `attachment; filename="b___Set-Cookie: x; _.mp4"; filename*=UTF-8''b%22%0D%0ASet-Cookie%3A%20x%3B%20%C3%BC.mp4`,
  );
});

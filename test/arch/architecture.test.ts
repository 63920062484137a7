import { expect, test } from "bun:test";
import { RULES } from "./rules.ts";
import { readSources } from "./source.ts";

const sources = readSources();

test("there is something to judge", () => {
  expect(sources.length).toBeGreaterThan(50);
});

for (const rule of RULES) {
  test(rule.name, () => {
    const violations = rule.check(sources).map(({ path, line, message }) => `${path}:${line} ${message}`);
    expect(violations).toEqual([]);
  });
}

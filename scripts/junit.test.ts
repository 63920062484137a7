import { describe, expect, test } from "bun:test";
import { parseJunit } from "./junit.ts";

const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="5">
  <testsuite name="a.test.ts" file="a.test.ts" tests="3">
    <testsuite name="group" file="a.test.ts" line="2">
      <testcase name="ok a &amp; &lt;b&gt;" classname="group" time="0.5" file="a.test.ts" line="2" assertions="0" />
      <testcase name="later" classname="group" time="0" file="a.test.ts" line="2" assertions="0">
        <skipped message="TODO" />
      </testcase>
    </testsuite>
    <testcase name="bad" classname="" time="0.3" file="a.test.ts" line="2" assertions="1">
      <failure type="AssertionError" message="Expected: 2&#10;Received: &lt;skipped">AssertionError</failure>
    </testcase>
  </testsuite>
</testsuites>`;

describe("parseJunit", () => {
  test("reads each case with its groups, outcome and time", () => {
    expect(parseJunit(REPORT)).toEqual([
      { file: "a.test.ts", name: "group > ok a & <b>", outcome: "passed", seconds: 0.5 },
      { file: "a.test.ts", name: "group > later", outcome: "skipped", seconds: 0 },
      { file: "a.test.ts", name: "bad", outcome: "failed", seconds: 0.3 },
    ]);
  });

  test("an empty report holds no case", () => {
    expect(parseJunit("<testsuites></testsuites>")).toEqual([]);
  });
});

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { compile } from "../../src/media/compile.ts";
import { FILTER_NAMES } from "../../src/media/operations/filter.schema.ts";
import { operationSchemas } from "../../src/media/operations/parse.ts";
import { testEnv } from "../support/env.ts";
import {
  argvOf,
  caseNames,
  loadCase,
  loadMedia,
  makeInputs,
  requestOf,
  runPlan,
  toArgvs,
  verifyPlan,
} from "./harness.ts";

const VERSIONS = [5, 9] as const;
const program = (major: 5 | 9): string => (major === 5 ? testEnv().ffmpeg : testEnv().ffmpeg9);

describe("plans are what they were", () => {
  for (const name of caseNames()) {
    test(name, async () => {
      const one = await loadCase(name);
      const plan = compile(requestOf(one, await loadMedia(one), 9));
      const golden = toArgvs(await Bun.file(join(one.folder, "argv.txt")).text());
      expect(argvOf(plan)).toEqual(golden);
      const searching = plan.search?.weight ?? 0;
      expect(plan.steps.reduce((sum, { weight }) => sum + weight, searching)).toBeCloseTo(1);
    });
  }
});

test("every operation and every filter is in one of them", async () => {
  const cases = await Promise.all(caseNames().map(loadCase));
  const used = new Set(
    cases.flatMap(({ spec }) =>
      (spec.operations as { readonly type: string; readonly name?: string }[]).flatMap(({ type, name }) =>
        type === "filter" ? [type, `filter ${name}`] : [type],
      ),
    ),
  );
  const all = [...Object.keys(operationSchemas), ...FILTER_NAMES.map((name) => `filter ${name}`)];
  expect(all.filter((one) => !used.has(one))).toEqual([]);
});

for (const major of VERSIONS) {
  describe(`plans run on FFmpeg ${major}`, () => {
    for (const name of caseNames()) {
      test(name, async () => {
        const one = await loadCase(name);
        if (!(one.spec.versions ?? VERSIONS).includes(major)) {
          expect(() => compileFor(one, major)).toThrow();
          return;
        }
        const plan = await compileFor(one, major);
        const ran = await runPlan(plan, await makeInputs(one), program(major));
        expect(await verifyPlan(plan, ran)).toEqual([]);
      });
    }
  });
}

async function compileFor(one: Awaited<ReturnType<typeof loadCase>>, major: 5 | 9) {
  return compile(requestOf(one, await loadMedia(one), major));
}

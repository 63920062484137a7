/** Each parameter is in the plan: without it, the plan is another. A parameter that nobody plans for fails here. */
import { beforeAll, describe, expect, test } from "bun:test";
import { compile } from "../../src/media/compile.ts";
import { FILTER_NAMES } from "../../src/media/operations/filter.schema.ts";
import { optionsSchema } from "../../src/media/operations/options.schema.ts";
import { operationSchemas, parseOperations, tryParseOperations } from "../../src/media/operations/parse.ts";
import { referencesOf } from "../../src/media/operations/references.ts";
import { streamFields } from "../../src/media/operations/stream.schema.ts";
import type { MediaInfo } from "../../src/media/types.ts";
import { sampleCapabilities, sampleLimits } from "../support/capabilities.ts";
import { makeClip } from "../support/media.ts";
import { MEDIA, type Media, NOT_PLANNED, PARAMETERS, type ParameterCase, requestOf } from "../support/parameters.ts";
import { look, writeText } from "./harness.ts";

const FURTHER: Readonly<Record<string, () => Promise<string>>> = {
  "logo.png": () => makeClip({ container: "png", video: { width: 20, height: 10, source: "color=red" } }),
  "other.png": () => makeClip({ container: "png", video: { width: 10, height: 20, source: "color=red" } }),
  "lines.srt": () => writeText("1\n00:00:00,200 --> 00:00:00,700\nA line.\n"),
  "other.srt": () => writeText("1\n00:00:00,200 --> 00:00:00,700\nAnother.\n"),
  "small.mp4": () => makeClip(MEDIA.small),
  "film.mp4": () => makeClip(MEDIA.film),
};

/** Of the right kind; numbers are beside it. */
const SAMPLES: Readonly<Record<string, unknown>> = {
  ...{ color: "white", audio: false, mode: "field", all: true, algorithm: "clip" },
};

const known = new Map<string, MediaInfo>();

beforeAll(async () => {
  for (const [name, spec] of Object.entries(MEDIA)) known.set(name, await look(await makeClip(spec)));
  for (const [name, make] of Object.entries(FURTHER)) known.set(name, await look(await make()));
});

/** Captions differ by their content, which is no part of a plan: a file's name stands for it here. */
function planOf(one: ParameterCase, given: boolean): string {
  const { operations, options, output, media } = requestOf(one, given);
  const parsed = parseOperations(operations);
  const names = [media as Media, ...referencesOf(parsed).map(({ uri }) => uri)];
  const inputs = names.map((name, n) => {
    const info = known.get(name);
    if (info === undefined) throw new Error(`There is no ${name} in this test.`);
    return { file: n === 0 || !name.endsWith(".srt") ? `in/${n}` : `in/${name}`, media: info };
  });
  const plan = compile({
    ...{ operations: parsed, options, outputName: output, inputs, threads: 2 },
    ...{ capabilities: sampleCapabilities(9), limits: sampleLimits },
  });
  return JSON.stringify(plan);
}

describe("a plan changes with", () => {
  for (const [n, one] of PARAMETERS.entries())
    test(`${one.parameter} (${n})`, () => {
      expect(planOf(one, true)).not.toBe(planOf(one, false));
    });
});

test("no parameter is missing here", () => {
  const covered = new Set([...PARAMETERS.map(({ parameter }) => parameter), ...Object.keys(NOT_PLANNED)]);
  const missing: string[] = [];
  // What an analysis is asked for is held by its results.
  for (const [type, schema] of Object.entries(operationSchemas)) {
    if (type === "analyze" || type === "filter") continue;
    const names = Object.keys(schema.shape).filter((name) => name !== "type");
    missing.push(...names.map((name) => `${type}.${name}`).filter((name) => !covered.has(name)));
  }
  for (const list of ["variants", "audio", "captions"] as const)
    missing.push(
      ...Object.keys(streamFields[list].unwrap().element.shape)
        .map((name) => `stream.${list}.${name}`)
        .filter((name) => !covered.has(name)),
    );
  const { type: _, name: __, ...ofFilters } = operationSchemas.filter.shape;
  for (const name of FILTER_NAMES) {
    const takes = Object.keys(ofFilters).filter((parameter) => {
      const parsed = tryParseOperations([{ type: "filter", name, [parameter]: SAMPLES[parameter] ?? 2 }]);
      return parsed.ok || !parsed.details.some(({ message }) => message.includes("not a parameter of"));
    });
    const all = takes.length === 0 ? ["name"] : takes;
    missing.push(...all.map((one) => `filter.${name}.${one}`).filter((one) => !covered.has(one)));
  }
  missing.push(
    ...Object.keys(optionsSchema.shape)
      .map((name) => `options.${name}`)
      .filter((name) => !covered.has(name)),
  );
  expect(missing).toEqual([]);
});

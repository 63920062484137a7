import { describe, expect, test } from "bun:test";
import { parseOperations } from "../media/operations/parse.ts";
import { fingerprintOf, type ResultRequest, requireReusable } from "./reuse.ts";

const transcode = { type: "transcode", video_codec: "h264", crf: 30 };
const request = (change: Partial<ResultRequest> = {}): ResultRequest => ({
  operations: parseOperations([transcode]),
  options: {},
  outputName: "out.mp4",
  inputs: [{ backend: "local", key: "in.mp4", identity: "1:2:3" }],
  ...change,
});
const base = fingerprintOf(request());

describe("results are the same", () => {
  const SAME: Readonly<Record<string, Partial<ResultRequest>>> = {
    "whatever the output is called": { outputName: "other.mp4" },
    "whatever else of the options decides about no byte": {
      options: { overwrite: false, reuse: true, preset: "web@1" },
    },
    "whatever order and form the parameters have": {
      operations: parseOperations([{ params: { crf: 30, video_codec: "h264" }, type: "transcode" }]),
    },
    "whatever is not given": { options: { format: undefined } },
  };
  for (const [name, change] of Object.entries(SAME)) {
    test(name, () => expect(fingerprintOf(request(change))).toBe(base));
  }
});

describe("results differ", () => {
  const OTHER: Readonly<Record<string, Partial<ResultRequest>>> = {
    "by the container": { outputName: "out.mkv" },
    "by an option": { options: { strip_metadata: true } },
    "by a parameter": { operations: parseOperations([{ ...transcode, crf: 31 }]) },
    "by the order of operations": {
      operations: parseOperations([transcode, { type: "rotate", angle: 90 }].toReversed()),
    },
    "by the input's bytes": { inputs: [{ backend: "local", key: "in.mp4", identity: "1:2:4" }] },
    "by the input's place": { inputs: [{ backend: "s3", key: "in.mp4", identity: "1:2:3" }] },
    "by how the input is known": { inputs: [{ sha256: "1:2:3" }] },
    "by a further input": { inputs: [...request().inputs, { sha256: "x" }] },
  };
  for (const [name, change] of Object.entries(OTHER)) {
    test(name, () => expect(fingerprintOf(request(change))).not.toBe(base));
  }

  test("by the output's name where further files are named after it", () => {
    const operations = parseOperations([transcode, { type: "thumbnail", time: 0 }]);
    const named = (outputName: string) => fingerprintOf(request({ operations, outputName }));
    expect(named("a.mp4")).toBe(named("a.mp4"));
    expect(named("a.mp4")).not.toBe(named("b.mp4"));
  });
});

test("an encrypted package is never taken over, and asking for it is refused by name", () => {
  const encrypted = parseOperations([{ type: "stream", format: "hls", container: "ts", encryption: "aes-128" }]);
  const plain = parseOperations([{ type: "stream", format: "hls" }]);
  expect(fingerprintOf(request({ operations: encrypted }))).toBeNull();
  expect(fingerprintOf(request({ operations: plain }))).not.toBeNull();
  expect(() => requireReusable(encrypted, { reuse: true })).toThrow("options.reuse cannot be had with encryption");
  for (const [operations, options] of [
    [plain, { reuse: true }],
    [encrypted, { reuse: false }],
    [encrypted, {}],
  ] as const) {
    expect(() => requireReusable(operations, options)).not.toThrow();
  }
});

import { expect, test } from "bun:test";
import { sampleCapabilities, sampleLimits } from "../../test/support/capabilities.ts";
import { failureOf } from "../../test/support/steps.ts";
import { RendiffError } from "../errors.ts";
import type { StorageBackend, StorageRegistry } from "../storage/port.ts";
import { makeMediaService } from "./media-service.ts";
import type { Media } from "./media-tools.ts";

test("a plan looks at one input at a time, and at none after one that cannot be read", async () => {
  const looked: string[] = [];
  const backend = { properties: { inPlace: true }, localPath: async (key: string) => key };
  const storage = {
    names: ["local"],
    backend: () => backend as unknown as StorageBackend,
  } as unknown as StorageRegistry;
  const media = {
    capabilities: sampleCapabilities(9),
    probe: async (path: string) => {
      looked.push(path);
      throw new RendiffError({ kind: "input.unreadable", publicMessage: "The input cannot be read." });
    },
  } as unknown as Media;
  const service = makeMediaService({ media, storage, limits: sampleLimits, threads: 1 });
  const operations = [{ type: "watermark", image: "local://mark.png" }];
  const inputs = ["local://film.mp4", "local://mark.png"];
  const spec = { inputs, output: "local://out.mp4", operations, options: {} };
  const failure = await failureOf(service.plan(spec, new AbortController().signal));
  expect([failure.kind, looked]).toEqual(["input.unreadable", ["film.mp4"]]);
});

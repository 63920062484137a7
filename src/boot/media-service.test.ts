import { expect, test } from "bun:test";
import { sampleCapabilities, sampleLimits } from "../../test/support/capabilities.ts";
import type { StorageBackend } from "../storage/port.ts";
import { makeStorageRegistry } from "../storage/registry.ts";
import { makeMediaService } from "./media-service.ts";
import type { Media } from "./media-tools.ts";

function serviceOn(backend: Partial<StorageBackend>) {
  const probed: string[] = [];
  const media = {
    capabilities: sampleCapabilities(5),
    probe: async (file: string) => {
      probed.push(file);
      return { container: "mp4" };
    },
  } as unknown as Media;
  const storage = makeStorageRegistry([{ name: "store", ...backend } as StorageBackend]);
  return { service: makeMediaService({ media, storage, limits: sampleLimits, threads: 1 }), probed };
}

const properties = {
  type: "local",
  readable: true,
  writable: true,
  publishing: "rename",
  conditionalDelete: true,
  conditionalPublish: true,
  findsStaging: true,
} as const;
const ref = { backend: "store", key: "a.mp4" };
const { signal } = new AbortController();

test("a file is probed where it lies", async () => {
  const { service, probed } = serviceOn({
    properties: { ...properties, inPlace: true },
    localPath: async (key) => `/files/${key}`,
  });
  expect(await service.probe(ref, signal)).toMatchObject({ container: "mp4" });
  expect(probed).toEqual(["/files/a.mp4"]);
});

test("one that is not there is not found, on a disk and elsewhere", async () => {
  const gone = serviceOn({ properties: { ...properties, inPlace: true }, localPath: async () => null });
  await expect(gone.service.probe(ref, signal)).rejects.toMatchObject({ kind: "input.not_found" });
  const remote = serviceOn({ properties: { ...properties, inPlace: false }, stat: async () => null });
  await expect(remote.service.probe(ref, signal)).rejects.toMatchObject({ kind: "input.not_found" });
});

test("a plan looks at one input at a time, and at none after one that cannot be read", async () => {
  const looked: string[] = [];
  const { service } = serviceOn({
    properties: { ...properties, inPlace: true },
    localPath: async (key) => {
      looked.push(key);
      return null;
    },
  });
  const operations = [{ type: "watermark", image: "store://mark.png" }];
  const inputs = ["store://film.mp4", "store://mark.png"];
  const spec = { inputs, output: "store://out.mp4", operations, options: {} };
  await expect(service.plan(spec, signal)).rejects.toMatchObject({ kind: "input.not_found" });
  expect(looked).toEqual(["film.mp4"]);
});

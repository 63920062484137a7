import { expect, test } from "bun:test";
import { sampleCapabilities, sampleLimits } from "../../test/support/capabilities.ts";
import { makeMemoryCache } from "../coordination/memory/cache.ts";
import { makeProbeCache } from "../ffmpeg/probe-cache.ts";
import type { MediaInfo } from "../media/types.ts";
import type { ObjectStat, StorageBackend } from "../storage/port.ts";
import { makeStorageRegistry } from "../storage/registry.ts";
import { makeMediaService } from "./media-service.ts";
import type { Media } from "./media-tools.ts";

function serviceOn(backend: Partial<StorageBackend>, cache = makeMemoryCache()) {
  const probed: string[] = [];
  const media = {
    capabilities: sampleCapabilities(5),
    probe: async (file: string) => {
      probed.push(file);
      return FOUND;
    },
  } as unknown as Media;
  const storage = makeStorageRegistry([{ name: "store", ...backend } as StorageBackend]);
  const probes = makeProbeCache(cache, { capabilities: media.capabilities, limits: sampleLimits });
  return { service: makeMediaService({ media, storage, probes, limits: sampleLimits, threads: 1 }), probed };
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
const FOUND = { container: "mp4" } as MediaInfo;
const statOf = (identity: string): ObjectStat => ({ sizeBytes: 1, modifiedAt: new Date(0), identity });
const inPlace = { localPath: async (key: string) => `/files/${key}`, stat: async () => statOf("1") };

test("a file is probed where it lies", async () => {
  const { service, probed } = serviceOn({
    properties: { ...properties, inPlace: true },
    ...inPlace,
  });
  expect(await service.probe(ref, signal)).toMatchObject({ container: "mp4" });
  expect(probed).toEqual(["/files/a.mp4"]);
});

test("one that another worker has looked at is not looked at again, until it is another", async () => {
  let identity = "1";
  const backend = {
    ...{ properties: { ...properties, inPlace: true }, ...inPlace, stat: async () => statOf(identity) },
  };
  const cache = makeMemoryCache();
  const [one, other] = [serviceOn(backend, cache), serviceOn(backend, cache)];
  for (const { service } of [one, other, one]) expect(await service.probe(ref, signal)).toEqual(FOUND);
  expect([one.probed, other.probed]).toEqual([["/files/a.mp4"], []]);
  identity = "2";
  await other.service.probe(ref, signal);
  expect(other.probed).toEqual(["/files/a.mp4"]);
});

test("nothing is fetched of one that lies elsewhere and is known", async () => {
  const cache = makeMemoryCache();
  const first = serviceOn({ properties: { ...properties, inPlace: true }, ...inPlace }, cache);
  await first.service.probe(ref, signal);
  const elsewhere = serviceOn({ properties: { ...properties, inPlace: false }, stat: async () => statOf("1") }, cache);
  expect(await elsewhere.service.probe(ref, signal)).toEqual(FOUND);
  expect(elsewhere.probed).toEqual([]);
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

import { expect, test } from "bun:test";
import { sampleCapabilities, sampleLimits } from "../../test/support/capabilities.ts";
import { makeMemoryCache } from "../coordination/memory/cache.ts";
import type { Cache } from "../coordination/ports.ts";
import { RendiffError } from "../errors.ts";
import type { MediaInfo } from "../media/types.ts";
import { makeProbeCache, type ProbedObject } from "./probe-cache.ts";

const parts = { capabilities: sampleCapabilities(9), limits: sampleLimits };
const OBJECT: ProbedObject = { ref: { backend: "s3", key: "a.mp4" }, type: "s3", identity: "1" };
const FOUND = { container: "mp4", streams: [] } as unknown as MediaInfo;

/** Counts the probes, each of which finds `found`. */
function prober(found: MediaInfo = FOUND) {
  const probe = async (): Promise<MediaInfo> => {
    probe.count += 1;
    return found;
  };
  probe.count = 0;
  return probe;
}

test("what is the same in place, identity and prober is probed once; what differs in one of them is another", async () => {
  const cache = makeMemoryCache();
  const probe = prober();
  const through = (object: ProbedObject, more = {}) =>
    makeProbeCache(cache, { ...parts, ...more }).through(object, undefined, probe);
  for (let time = 0; time < 3; time++) expect(await through(OBJECT)).toEqual(FOUND);
  expect(probe.count).toBe(1);
  await through({ ...OBJECT, identity: "2" });
  await through({ ...OBJECT, ref: { ...OBJECT.ref, key: "b.mp4" } });
  await through({ ...OBJECT, ref: { ...OBJECT.ref, backend: "other" } });
  await through(OBJECT, { limits: { ...sampleLimits, maxWidth: 1 } });
  await through(OBJECT, { capabilities: sampleCapabilities(5) });
  expect(probe.count).toBe(6);
});

test("keyframes are looked for each time and never kept", async () => {
  const cache = makeProbeCache(makeMemoryCache(), parts);
  const probe = prober({ ...FOUND, keyframes: [1, 2] });
  const windows = () => [{ start: 0, end: null }];
  for (let time = 0; time < 2; time++) {
    expect((await cache.through(OBJECT, windows, probe)).keyframes).toEqual([1, 2]);
  }
  expect(probe.count).toBe(2);
  expect(await cache.through(OBJECT, () => null, probe)).toEqual(FOUND);
  expect(probe.count).toBe(2);
});

test("a refusal is not kept", async () => {
  const cache = makeProbeCache(makeMemoryCache(), parts);
  const refuse = async (): Promise<never> => {
    throw new RendiffError({ kind: "input.unreadable", publicMessage: "It is damaged." });
  };
  await expect(cache.through(OBJECT, undefined, refuse)).rejects.toMatchObject({ kind: "input.unreadable" });
  expect(await cache.through(OBJECT, undefined, prober())).toEqual(FOUND);
});

test("a web server is believed its strong ETag, not its date", async () => {
  const cache = makeProbeCache(makeMemoryCache(), parts);
  const probe = prober();
  const at = (identity: string) => cache.through({ ...OBJECT, type: "http", identity }, undefined, probe);
  for (const identity of ["Mon, 01 Jan 2024 00:00:00 GMT;5", ";5"]) {
    await at(identity);
    await at(identity);
  }
  expect(probe.count).toBe(4);
  await at('"tag"');
  await at('"tag"');
  expect(probe.count).toBe(5);
});

test("a file with very much to tell is not kept", async () => {
  const probe = prober({ ...FOUND, container: "x".repeat(40_000) } as MediaInfo);
  const cache = makeProbeCache(makeMemoryCache(), parts);
  for (let time = 0; time < 2; time++) await cache.through(OBJECT, undefined, probe);
  expect(probe.count).toBe(2);
});

test("a cache that is away is done without", async () => {
  const away = async (): Promise<never> => {
    throw new RendiffError({ kind: "service.unavailable", publicMessage: "Redis does not answer." });
  };
  const cache = makeProbeCache({ get: away, set: away } as unknown as Cache, parts);
  expect(await cache.through(OBJECT, undefined, prober())).toEqual(FOUND);
});

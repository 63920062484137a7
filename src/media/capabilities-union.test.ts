import { describe, expect, test } from "bun:test";
import { sampleCapabilities } from "../../test/support/capabilities.ts";
import { uniteCapabilities } from "./capabilities-union.ts";

const broken = { ok: false, reason: "it is not there" } as const;
const newest = sampleCapabilities(9);
const older = sampleCapabilities(5);

describe("several workers together", () => {
  test("can do what any of them can, whichever is the newest", () => {
    const bare = { ...newest, packager: broken, encoders: { libx264: broken }, filters: { ass: broken } };
    const united = uniteCapabilities([older, bare]);
    expect(united).toMatchObject({ ffmpegMajor: 9, packager: { ok: true } });
    expect([united?.encoders.libx264, united?.filters.ass]).toEqual([{ ok: true }, { ok: true }]);
  });

  test("say why where none of them can", () => {
    const without = (one: typeof newest) => ({ ...one, packager: broken });
    expect(uniteCapabilities([without(older), without(newest)])?.packager).toEqual(broken);
  });

  test("say nothing where nobody has", () => {
    expect(uniteCapabilities([])).toBeNull();
  });
});

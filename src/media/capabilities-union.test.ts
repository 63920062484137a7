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

  test("measure with every model that one of them has", () => {
    const having = (...models: string[]) => ({
      ...newest,
      vmaf: { ok: true, program: "ffmpeg", options: "new", models } as const,
    });
    const vmaf = (...all: (typeof newest)[]) => uniteCapabilities(all)?.vmaf;
    expect(vmaf(older, having("b"), having("a", "b"))).toMatchObject({ ok: true, models: ["a", "b"] });
    // One that does not say which may have all.
    expect(vmaf(having("b"), newest)).not.toHaveProperty("models");
    expect(vmaf(older, older)).toMatchObject({ ok: false });
  });

  test("say nothing where nobody has", () => {
    expect(uniteCapabilities([])).toBeNull();
  });
});

/** What is found out of a libvmaf at start: how it is asked, and which models it has. */
import { describe, expect, test } from "bun:test";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { tryVmaf } from "../../src/ffmpeg/vmaf.ts";
import { VMAF_MODELS } from "../../src/media/measure/metrics.ts";
import { vmafProblem } from "../../src/media/measure/vmaf-ability.ts";
import type { ProcessRunner } from "../../src/process/port.ts";
import { testEnv } from "../support/env.ts";
import { bestRunner } from "../support/sandbox.ts";
import { VERSIONS } from "../support/steps.ts";
import { makeTempDir } from "../support/temp-dir.ts";

const [system, modern] = VERSIONS.map(({ tools }) => tools);
if (system === undefined || modern === undefined) throw new Error("There are two versions.");

/** The real libvmaf behind the options of before FFmpeg 5.0, with one model beside it. */
async function makeOld(): Promise<string> {
  const path = join(await makeTempDir("old-vmaf"), "ffmpeg");
  await Bun.write(
    path,
    `#!/bin/bash
args=()
for arg in "$@"; do
  case "$arg" in
    *model=version*) echo "Option 'model' not found" >&2; exit 1 ;;
    *model_path=/usr/share/model/vmaf_v0.6.1.json*) ;;
    *model_path=*) echo "could not read model from path" >&2; exit 1 ;;
  esac
  args+=("\${arg//model_path=\\/usr\\/share\\/model\\/vmaf_v0.6.1.json/model=version=vmaf_v0.6.1}")
done
exec ${testEnv().ffmpeg9} "\${args[@]}"
`,
  );
  await chmod(path, 0o755);
  return path;
}

describe("libvmaf", () => {
  test("of a new FFmpeg has every model that can be asked for", async () => {
    const found = await tryVmaf(await bestRunner(), modern(), null);
    expect(found).toEqual({ ok: true, program: "ffmpeg", options: "new", models: VMAF_MODELS });
  });

  test("of an old FFmpeg is asked as that wants it, and a model that it lacks is refused by name", async () => {
    const runner = await bestRunner();
    const plain: ProcessRunner = { ...runner, start: (request) => runner.start({ ...request, sandbox: "off" }) };
    const found = await tryVmaf(plain, system(), { ...system(), ffmpegPath: await makeOld() });
    expect(found).toEqual({ ok: true, program: "vmaf", options: "old", models: ["vmaf_v0.6.1"] });
    expect(vmafProblem(found, "vmaf_v0.6.1")).toBeNull();
    expect(vmafProblem(found, "vmaf_v0.6.1neg")).toEqual({
      isOfModel: true,
      message: "VMAF cannot be measured here with vmaf_v0.6.1neg: this libvmaf has vmaf_v0.6.1 only.",
    });
  });

  test("is missed where there is none", async () => {
    const found = await tryVmaf(await bestRunner(), system(), null);
    expect(found).toMatchObject({ ok: false, reason: expect.stringContaining("VMAF_FFMPEG_PATH") });
  });
});

import { describe, expect, test } from "bun:test";
import { sampleCapabilities, sampleLimits } from "../../../test/support/capabilities.ts";
import { printArgs } from "../argv.ts";
import { compile } from "../compile.ts";
import { checkOperations } from "../operations/check.ts";
import { parseOperations } from "../operations/parse.ts";
import type { Capabilities, MediaInfo, PlanStep } from "../types.ts";
import { ACCELERATORS, type Accelerator, hardware } from "./hardware.ts";

const MEDIA: MediaInfo = {
  ...{ demuxers: ["mov"], container: "mp4", sizeBytes: 1e6, durationSeconds: 10, startSeconds: 0, bitrate: 8e5 },
  ...{ tags: {}, chapters: 0, warnings: [] },
  streams: [
    {
      ...{
        kind: "video",
        index: 0,
        codec: "h264",
        profile: "High",
        bitrate: 8e5,
        durationSeconds: 10,
        startSeconds: 0,
      },
      ...{ language: null, title: null, isDefault: true, codedWidth: 640, codedHeight: 360, width: 640, height: 360 },
      ...{ rotation: 0, sampleAspect: { num: 1, den: 1 }, pixelFormat: "yuv420p", bitDepth: 8, hasAlpha: false },
      ...{ averageFps: 25, nominalFps: 25, isVariableFps: false, frameCount: 250, level: 30, colorSpace: null },
      ...{ colorTransfer: null, colorPrimaries: null, colorRange: null, hdr: "sdr", interlaced: false },
      ...{ attachedPicture: false, still: false },
    },
  ],
};

function capabilitiesWith(...accelerators: readonly Accelerator[]): Capabilities {
  const base = sampleCapabilities(9);
  const all = ACCELERATORS.flatMap((name) => {
    const ability = accelerators.includes(name) ? { ok: true } : { ok: false, reason: `no device for ${name}` };
    return Object.values(hardware(name).encoders).map((encoder) => [encoder, ability] as const);
  });
  return { ...base, encoders: { ...base.encoders, ...Object.fromEntries(all) } as Capabilities["encoders"] };
}

function planOf(transcode: object, capabilities: Capabilities) {
  return compile({
    ...{ operations: parseOperations([{ type: "transcode", ...transcode }]), options: {}, outputName: "out.mp4" },
    ...{ inputs: [{ file: "in/0", media: MEDIA }], capabilities, limits: sampleLimits, threads: 1 },
  });
}

/** From the graph to the muxer. */
function middle(step: PlanStep | undefined): string {
  const args = printArgs(step?.args ?? [], "/job");
  return args.slice(args.indexOf("-filter_complex") + 1, args.indexOf("-map_metadata")).join(" ");
}

const WANTED: Readonly<Record<Accelerator, string>> = {
  nvenc:
    "[0:0]format=pix_fmts=yuv420p[v0] -map [v0] -c:v:0 h264_nvenc -rc:v:0 vbr -cq:v:0 23 -b:v:0 0 -g:v:0 50 -fps_mode:v:0 vfr -enc",
  qsv: "[0:0]format=pix_fmts=nv12[v0] -map [v0] -c:v:0 h264_qsv -global_quality:v:0 23 -g:v:0 50 -fps_mode:v:0 vfr",
  amf: "[0:0]format=pix_fmts=nv12[v0] -map [v0] -c:v:0 h264_amf -rc:v:0 cqp -qp_i:v:0 23 -qp_p:v:0 23 -g:v:0 50 -fps_mode:v:0 vfr",
  vaapi:
    "[0:0]format=pix_fmts=nv12,hwupload[v0] -map [v0] -c:v:0 h264_vaapi -rc_mode:v:0 CQP -qp:v:0 23 -g:v:0 50 -fps_mode:v:0 vfr",
  videotoolbox:
    "[0:0]format=pix_fmts=nv12[v0] -map [v0] -c:v:0 h264_videotoolbox -q:v:0 63 -g:v:0 50 -fps_mode:v:0 vfr",
};

describe("hardware acceleration", () => {
  for (const accelerator of ACCELERATORS) {
    test(`${accelerator} has its own words`, () => {
      const transcode = { video_codec: "h264", crf: 23, gop_size: 50, hardware_acceleration: accelerator };
      const plan = planOf(transcode, capabilitiesWith(accelerator));
      const [step] = plan.steps;
      expect(middle(step)).toBe(WANTED[accelerator].replace(" -enc", ""));
      expect(plan.warnings).toEqual([]);
      expect(step?.devices ?? []).toEqual([...hardware(accelerator).devices]);
      expect(printArgs(step?.args ?? [], "/job").includes("-vaapi_device")).toBe(accelerator === "vaapi");
    });

    test(`${accelerator} is unsupported where it does not work`, () => {
      const operations = parseOperations([{ type: "transcode", hardware_acceleration: accelerator }]);
      expect(() =>
        checkOperations({
          ...{ operations, options: {}, outputName: "out.mp4", limits: sampleLimits },
          capabilities: capabilitiesWith(),
        }),
      ).toThrow(`no device for ${accelerator}`);
    });
  }

  test("a bitrate is told in place of a quality", () => {
    const transcode = { video_bitrate: "2M", max_bitrate: "3M", hardware_acceleration: "nvenc", video_codec: "h265" };
    const plan = planOf(transcode, capabilitiesWith("nvenc"));
    expect(middle(plan.steps[0])).toContain(
      "-c:v:0 hevc_nvenc -b:v:0 2000000 -maxrate:v:0 3000000 -bufsize:v:0 6000000 ",
    );
    expect(middle(plan.steps[0])).not.toContain("-cq");
  });

  test("auto takes the first that works", () => {
    const plan = planOf({ video_codec: "h264", hardware_acceleration: "auto" }, capabilitiesWith("vaapi", "qsv"));
    expect(middle(plan.steps[0])).toContain("h264_qsv");
  });

  test("auto falls back to software and says why", () => {
    const plan = planOf({ video_codec: "h264", hardware_acceleration: "auto" }, capabilitiesWith());
    expect(middle(plan.steps[0])).toContain("libx264");
    expect(plan.warnings.join(" ")).toContain("without hardware acceleration: nvenc: no device for nvenc");
  });

  test("auto leaves software's own parameters to software", () => {
    const plan = planOf(
      { video_codec: "h264", tune: "film", hardware_acceleration: "auto" },
      capabilitiesWith("nvenc"),
    );
    expect(middle(plan.steps[0])).toContain("-tune:v:0 film");
    expect(plan.warnings.join(" ")).toContain("tune is for encoding in software");
  });

  test.each([
    [{ video_codec: "h264", preset: "slow" }, "preset"],
    [{ video_codec: "prores" }, "not prores"],
    [{ video_codec: "copy" }, "copy leaves as it is"],
    [{ video_codec: "h264", video_bitrate: "1M", two_pass: true }, "two_pass"],
  ])("what a card does not take is refused: %p", (transcode, words) => {
    const operations = parseOperations([{ type: "transcode", hardware_acceleration: "nvenc", ...transcode }]);
    const outputName = "video_codec" in transcode && transcode.video_codec === "prores" ? "out.mov" : "out.mp4";
    const check = () =>
      checkOperations({
        ...{ operations, options: {}, outputName, limits: sampleLimits },
        capabilities: capabilitiesWith("nvenc"),
      });
    expect(check).toThrow(words);
  });
});

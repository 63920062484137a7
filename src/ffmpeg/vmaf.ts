/** Which FFmpeg measures VMAF, and how its libvmaf wants to be asked: tried with a real measurement, in the sandbox. */
import { DEFAULT_VMAF_MODEL, VMAF_MODELS, type VmafModel } from "../media/measure/metrics.ts";
import { oldModelPath, type VmafAbility } from "../media/measure/vmaf-ability.ts";
import type { ProcessRunner } from "../process/port.ts";
import { runTool } from "./run-tool.ts";
import { findProgram, type MediaTools } from "./tools.ts";

const TRY_TIMEOUT_MS = 30_000;
const PICTURES = "testsrc2=size=192x192:rate=5:duration=0.4,format=yuv420p,split[d][r];[d][r]";
const filterOf = (options: "old" | "new", model: VmafModel): string =>
  options === "new" ? `libvmaf=model=version=${model}` : `libvmaf=model_path=${oldModelPath(model)}`;

/** Null: the deployment's own FFmpeg is used. Throws `service.unavailable` when the setting names no program. */
export function findVmafTools(tools: MediaTools, configured: string | null): MediaTools | null {
  if (configured === null) return null;
  return { ...tools, ffmpegPath: findProgram("ffmpeg", "VMAF_FFMPEG_PATH", configured) };
}

async function measures(runner: ProcessRunner, program: string, graph: string): Promise<boolean> {
  const { exit } = await runTool({
    ...{ runner, program, timeoutMs: TRY_TIMEOUT_MS },
    args: ["-nostdin", "-hide_banner", "-v", "info", "-f", "lavfi", "-i", `${PICTURES}${graph}`, "-f", "null", "-"],
    limits: { addressSpaceBytes: null, fileBytes: 0, cpuSeconds: 60, openFiles: 256 },
  });
  // It also ends with 0 where its model is missing.
  return exit.exitCode === 0 && /VMAF score: \d/.test(exit.stderrTail);
}

export async function tryVmaf(runner: ProcessRunner, tools: MediaTools, own: MediaTools | null): Promise<VmafAbility> {
  const program = own === null ? "ffmpeg" : "vmaf";
  const { ffmpegPath } = own ?? tools;
  const works = (options: "old" | "new", model: VmafModel) => measures(runner, ffmpegPath, filterOf(options, model));
  for (const options of ["new", "old"] as const) {
    if (!(await works(options, DEFAULT_VMAF_MODEL))) continue;
    const models: string[] = [DEFAULT_VMAF_MODEL];
    for (const model of VMAF_MODELS)
      if (model !== DEFAULT_VMAF_MODEL && (await works(options, model))) models.push(model);
    return { ok: true, program, options, models };
  }
  const whose = own === null ? "this FFmpeg" : "the FFmpeg at VMAF_FFMPEG_PATH";
  const hint = own === null ? "; VMAF_FFMPEG_PATH can name another that has it" : "";
  return { ok: false, reason: `${whose} was built without libvmaf${hint}` };
}

/** Packages as a worker makes them, stage by stage, without a server: for tests that look inside or meddle in between. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { probeCaptions } from "../../src/ffmpeg/captions.ts";
import { finishPackage, type VerifiedOutput } from "../../src/ffmpeg/package/finish-package.ts";
import { findPackager, runPackager } from "../../src/ffmpeg/packager.ts";
import { writePlanFiles } from "../../src/ffmpeg/plan-files.ts";
import { probeFile } from "../../src/ffmpeg/probe.ts";
import { runStep } from "../../src/ffmpeg/step.ts";
import { compile } from "../../src/media/compile.ts";
import { ALLOWED_DEMUXERS } from "../../src/media/input-formats.ts";
import { parseOperations } from "../../src/media/operations/parse.ts";
import type { MediaInfo, PackagePlan, Plan, PlanStep } from "../../src/media/types.ts";
import { sampleCapabilities, sampleLimits } from "./capabilities.ts";
import { type ClipSpec, copyClip } from "./media.ts";
import { bestRunner } from "./sandbox.ts";
import { VERSIONS } from "./steps.ts";
import { makeTempDir } from "./temp-dir.ts";

export interface PackageSpec {
  readonly clip: ClipSpec;
  readonly stream: Readonly<Record<string, unknown>>;
  /** Operations before it. */
  readonly before?: readonly unknown[];
  /** Index into VERSIONS; default the system's FFmpeg. */
  readonly version?: 0 | 1;
  /** Files of captions, each for an entry of `stream.captions`. */
  readonly captions?: readonly (string | Uint8Array)[];
  /** Default 1. */
  readonly threads?: number;
  readonly changeStep?: (step: PlanStep) => PlanStep;
}

export interface MadePackage {
  readonly workDir: string;
  readonly plan: Plan;
  readonly package: PackagePlan;
  /** Of the package in the work folder. */
  readonly folder: string;
  finish(): Promise<readonly VerifiedOutput[]>;
}

export const KEY = { bytes: new Uint8Array(16).fill(7), uri: "https://keys.example/1" };
const limits = { stallTimeoutMs: 20_000, timeoutMs: 60_000, niceness: 0 };

export function compilePackage(
  media: readonly MediaInfo[],
  { stream, before = [], threads = 1 }: Omit<PackageSpec, "clip">,
): Plan {
  return compile({
    operations: parseOperations([...before, { type: "stream", ...stream }]),
    ...{ options: {}, outputName: "films/film", inputs: media.map((one, n) => ({ file: `in/${n}`, media: one })) },
    ...{ capabilities: sampleCapabilities(5), limits: sampleLimits, threads, attemptName: "attempt-1" },
  });
}

/** Encoded and packaged, not yet looked at. */
export async function makePackage(spec: PackageSpec): Promise<MadePackage> {
  const workDir = await makeTempDir("package");
  await mkdir(join(workDir, "in"));
  const file = await copyClip(join(workDir, "in/0"), spec.clip);
  const tools = VERSIONS[spec.version ?? 0]?.tools();
  if (tools === undefined) throw new Error("There is no such version.");
  const runner = await bestRunner();
  const media = [await probeFile({ runner, tools, limits: sampleLimits, file, inputFormats: ALLOWED_DEMUXERS })];
  for (const [n, text] of (spec.captions ?? []).entries()) {
    const path = join(workDir, `in/${n + 1}`);
    await Bun.write(path, text);
    media.push(await probeCaptions(path));
  }
  const plan = compilePackage(media, spec);
  if (plan.package === undefined) throw new Error("The plan makes no package.");
  const packaged = plan.package;
  const packager = findPackager(null);
  const key = packaged.encryption === "none" ? null : KEY;
  await writePlanFiles(plan.files, { workDir, readOnly: [] });
  for (const planned of plan.steps) {
    const step = spec.changeStep?.(planned) ?? planned;
    if (step.program === "packager")
      await runPackager({ runner, program: packager, contentKey: key, step, workDir, ...limits });
    else await runStep({ runner, tools, step, workDir, readOnly: [], ...limits });
  }
  return {
    ...{ workDir, plan, package: packaged, folder: join(workDir, packaged.folder) },
    finish: () => finishPackage({ runner, tools, plan: packaged, workDir, niceness: 0, ...{ packager, key } }),
  };
}

/**
 * A case is a folder: `spec.json` (the request, and the recipe of a tiny input that shows what it is about),
 * `media-info.json` (that input, probed), `argv.txt` (the plan, one argument a line, steps parted by an empty line; a
 * newline inside an argument is written as \n).
 */
import { readdirSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { probeCaptions } from "../../src/ffmpeg/captions.ts";
import { findPackager } from "../../src/ffmpeg/packager.ts";
import { writePlanFiles } from "../../src/ffmpeg/plan-files.ts";
import { FFMPEG_HEAD } from "../../src/ffmpeg/step.ts";
import { writeContent } from "../../src/ffmpeg/write-content.ts";
import { printArgs } from "../../src/media/argv.ts";
import { type CompileRequest, compile } from "../../src/media/compile.ts";
import {
  type LoudnessResult,
  loudnessResults,
  type Measured,
  parseLoudness,
  resolveStep,
  withMeasures,
} from "../../src/media/measured.ts";
import { parseMediaInfo } from "../../src/media/media-info.ts";
import type { ConvertOptions } from "../../src/media/operations/options.schema.ts";
import { parseOperations } from "../../src/media/operations/parse.ts";
import { withCrf } from "../../src/media/plan/search.ts";
import type { Expectation, MediaInfo, Plan, PlanStep } from "../../src/media/types.ts";
import { sampleCapabilities, sampleLimits } from "../support/capabilities.ts";
import { testEnv } from "../support/env.ts";
import { type ClipSpec, makeClip } from "../support/media.ts";
import { makeTempDir } from "../support/temp-dir.ts";

export interface Spec {
  readonly about: string;
  readonly input: ClipSpec;
  /** What the operations name, in their order; `media-info.json` is then a list of all inputs. */
  readonly further?: readonly (ClipSpec | Written)[];
  readonly output: string;
  readonly operations: readonly unknown[];
  readonly options?: ConvertOptions;
  /** Versions that can do it; default both. */
  readonly versions?: readonly (5 | 9)[];
}

/** A caption file, by its text. */
export interface Written {
  readonly captions: string;
}

export interface Case {
  readonly name: string;
  readonly folder: string;
  readonly spec: Spec;
}

const FOLDER = import.meta.dir;
const WORK = "/job";

export function caseNames(): string[] {
  return readdirSync(FOLDER, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

export async function loadCase(name: string): Promise<Case> {
  const folder = join(FOLDER, name);
  return { name, folder, spec: (await Bun.file(join(folder, "spec.json")).json()) as Spec };
}

export async function loadMedia({ folder }: Case): Promise<readonly MediaInfo[]> {
  const media = (await Bun.file(join(folder, "media-info.json")).json()) as MediaInfo | readonly MediaInfo[];
  return Array.isArray(media) ? media : [media as MediaInfo];
}

/** Paths of the case's inputs. */
export const makeInputs = ({ spec }: Case): Promise<string[]> =>
  Promise.all(
    [spec.input, ...(spec.further ?? [])].map((one) => ("captions" in one ? writeText(one.captions) : makeClip(one))),
  );

/** A file that `look` takes for captions. */
export async function writeText(text: string | Uint8Array): Promise<string> {
  const path = join(await makeTempDir(), `lines${CAPTIONS}`);
  await Bun.write(path, text);
  return path;
}

const CAPTIONS = ".captions";

/** As a job looks at an input. */
export const look = (path: string): Promise<MediaInfo> => (path.endsWith(CAPTIONS) ? probeCaptions(path) : probe(path));

export function requestOf({ spec }: Case, media: readonly MediaInfo[], major: 5 | 9): CompileRequest {
  return {
    operations: parseOperations(spec.operations),
    options: spec.options ?? {},
    outputName: spec.output,
    inputs: media.map((one, n) => ({ file: `in/${n}`, media: one })),
    capabilities: sampleCapabilities(major),
    limits: sampleLimits,
    threads: 1,
  };
}

/** What looks for a crf comes before what waits for it. */
const allSteps = ({ search, steps }: Plan): readonly PlanStep[] => [
  ...(search?.samples ?? []).flatMap((sample) => sample.steps),
  ...steps,
];

/** Without the fixed head, which is the same in all. */
export const argvOf = (plan: Plan): string[][] => allSteps(plan).map((step) => printArgs(step.args, WORK));

export const toText = (argvs: readonly (readonly string[])[]): string =>
  `${argvs.map((argv) => argv.map((one) => one.replaceAll("\n", "\\n")).join("\n")).join("\n\n")}\n`;

export const toArgvs = (text: string): string[][] =>
  text
    .trimEnd()
    .split("\n\n")
    .map((step) => step.split("\n").map((one) => one.replaceAll("\\n", "\n")));

export interface Ran {
  readonly code: number;
  readonly stderr: string;
}

const TIMEOUT_MS = 30_000;
/** As src/process starts its children: address space is counted with it. */
const ENVIRONMENT = { MALLOC_ARENA_MAX: "2" };

async function run(program: string, args: readonly string[], cwd = "/"): Promise<Ran & { stdout: string }> {
  const child = Bun.spawn([program, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: TIMEOUT_MS,
    env: ENVIRONMENT,
    cwd,
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, code };
}

export async function probe(path: string, prober = testEnv().ffprobe): Promise<MediaInfo> {
  const args = ["-v", "error", "-show_streams", "-show_format", "-show_chapters", "-of", "json", path];
  const { stdout, stderr, code } = await run(prober, args);
  if (code !== 0) throw new Error(`ffprobe ${path}: ${stderr}`);
  return parseMediaInfo(JSON.parse(stdout));
}

/** Frames that really come out of a decoder. */
export async function countFrames(path: string): Promise<number> {
  const args = ["-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames"];
  const { stdout } = await run(testEnv().ffprobe, [...args, "-of", "csv=p=0", path]);
  return Number.parseInt(stdout, 10);
}

export interface PlanRun {
  readonly workDir: string;
  readonly loudness: readonly LoudnessResult[];
}

async function runPackagerStep(step: PlanStep, folder: string): Promise<void> {
  const program = findPackager(null);
  if (program === null) throw new Error("Shaka Packager is not in node_modules: run ./dev test, which installs it.");
  const args = step.args.map((arg) => (typeof arg === "string" ? arg : arg.file));
  const { code, stderr } = await run(program, args, folder);
  if (code !== 0) throw new Error(`${step.id} ended with ${code}\n${args.join("\n")}\n${stderr}`);
}

/** Runs every step in a folder of its own; throws with FFmpeg's words when one fails. */
export async function runPlan(
  plan: Plan,
  inputs: string | readonly string[],
  ffmpeg: string,
  workDir?: string,
): Promise<PlanRun> {
  const folder = workDir ?? (await makeTempDir());
  await mkdir(join(folder, "in"), { recursive: true });
  await mkdir(join(folder, "out"), { recursive: true });
  for (const [n, path] of [inputs].flat().entries()) await symlink(path, join(folder, `in/${n}`));
  await writePlanFiles(plan.files, { workDir: folder, readOnly: [] });
  let measured: Measured = {};
  const loudness: LoudnessResult[] = [];
  for (const planned of allSteps(plan)) {
    const step = withCrf(resolveStep(planned, measured), plan.search?.grid.first ?? 0);
    for (const file of step.writes) await mkdir(dirname(join(folder, file)), { recursive: true });
    if (step.program === "packager") {
      await runPackagerStep(step, folder);
      continue;
    }
    const argv = [...FFMPEG_HEAD, ...printArgs(step.args, folder)];
    const limits = [`--as=${step.memoryBytesMax}`, `--fsize=${Math.ceil(step.fileBytesMax)}`];
    const { code, stderr } = await run("prlimit", [...limits, ffmpeg, ...argv], folder);
    const blocks = parseLoudness(stderr);
    measured = withMeasures(measured, step, blocks);
    loudness.push(...loudnessResults(step, blocks));
    if (code !== 0) throw new Error(`${step.id} ended with ${code}\n${argv.join("\n")}\n${stderr}`);
  }
  for (const output of plan.outputs)
    if (output.content !== undefined) await writeContent(output, output.content, folder);
  return { workDir: folder, loudness };
}

/** Everything in which a probed file is not what was planned. */
export function differences(media: MediaInfo, expect: Expectation): string[] {
  const found: string[] = [];
  const same = (what: string, actual: unknown, wanted: unknown): void => {
    if (wanted !== null && actual !== wanted) found.push(`${what} is ${actual}, not ${wanted}`);
  };
  if (!media.demuxers.some((name) => expect.demuxers.includes(name))) found.push(`demuxers ${media.demuxers}`);
  const video = media.streams.filter((stream) => stream.kind === "video");
  const audio = media.streams.filter((stream) => stream.kind === "audio");
  same("video streams", video.length, expect.video.length);
  same("audio streams", audio.length, expect.audio.length);
  same("subtitles", media.streams.filter((stream) => stream.kind === "subtitle").length, expect.subtitles);
  expect.video.forEach((wanted, n) => {
    same(`video ${n} codec`, video[n]?.codec, wanted.codec);
    same(`video ${n} width`, video[n]?.width, wanted.width);
    same(`video ${n} height`, video[n]?.height, wanted.height);
    const fps = video[n]?.averageFps ?? null;
    if (wanted.fps !== null && (fps === null || Math.abs(fps - wanted.fps) > 0.02 * wanted.fps + 0.01)) {
      found.push(`video ${n} has ${fps} fps, not ${wanted.fps}`);
    }
  });
  expect.audio.forEach((wanted, n) => {
    same(`audio ${n} codec`, audio[n]?.codec, wanted.codec);
    same(`audio ${n} channels`, audio[n]?.channels, wanted.channels);
    same(`audio ${n} rate`, audio[n]?.sampleRate, wanted.sampleRate);
  });
  const { durationSeconds: wanted, durationToleranceSeconds: tolerance } = expect;
  if (wanted !== null && (media.durationSeconds === null || Math.abs(media.durationSeconds - wanted) > tolerance)) {
    found.push(`lasts ${media.durationSeconds} s, not ${wanted} ± ${tolerance}`);
  }
  return found;
}

export async function verifyPlan(plan: Plan, { workDir }: PlanRun): Promise<string[]> {
  const found = await Promise.all(
    plan.outputs
      .filter(({ content }) => content === undefined)
      .map(async (output) =>
        differences(await probe(join(workDir, output.file)), output.expect).map((one) => `${output.file}: ${one}`),
      ),
  );
  const sizes = plan.outputs.reduce((sum, { file }) => sum + Bun.file(join(workDir, file)).size, 0);
  return [...found.flat(), ...(sizes > plan.workBytesMax ? [`takes ${sizes} bytes, not ${plan.workBytesMax}`] : [])];
}

/** Writes what the program makes of a case today: for a new case, or a change that is meant. */
export async function record(one: Case): Promise<void> {
  const media = await Promise.all((await makeInputs(one)).map(look));
  const stored = media.length === 1 ? media[0] : media;
  await Bun.write(join(one.folder, "media-info.json"), `${JSON.stringify(stored, null, 2)}\n`);
  await Bun.write(join(one.folder, "argv.txt"), toText(argvOf(compile(requestOf(one, media, 9)))));
}

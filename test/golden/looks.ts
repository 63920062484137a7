/** What a plan's files look and sound like: pixels and loudness, measured by a decoder and not by the plan. */
import { join } from "node:path";
import { compile } from "../../src/media/compile.ts";
import type { ConvertOptions } from "../../src/media/operations/options.schema.ts";
import { parseOperations } from "../../src/media/operations/parse.ts";
import type { Plan } from "../../src/media/types.ts";
import { sampleCapabilities, sampleLimits } from "../support/capabilities.ts";
import { testEnv } from "../support/env.ts";
import { type ClipSpec, makeClip } from "../support/media.ts";
import { type PlanRun, probe, runPlan, verifyPlan } from "./harness.ts";

export type Major = 5 | 9;

export const programOf = (major: Major): string => (major === 5 ? testEnv().ffmpeg : testEnv().ffmpeg9);

export interface Made extends PlanRun {
  readonly plan: Plan;
  /** Absolute paths of the outputs, in the plan's order. */
  readonly files: readonly string[];
  readonly problems: readonly string[];
}

export interface MakeRequest {
  readonly clip: ClipSpec;
  readonly output?: string;
  readonly operations: readonly unknown[];
  readonly options?: ConvertOptions;
  readonly major?: Major;
}

/** Compiles for the clip and runs every step. */
export async function make({ clip, output = "out.mp4", operations, options, major = 9 }: MakeRequest): Promise<Made> {
  const input = await makeClip(clip);
  const plan = compile({
    operations: parseOperations(operations),
    options: options ?? {},
    outputName: output,
    inputs: [{ file: "in/0", media: await probe(input) }],
    capabilities: sampleCapabilities(major),
    limits: sampleLimits,
    threads: 1,
  });
  const ran = await runPlan(plan, input, programOf(major));
  const files = plan.outputs.map(({ file }) => join(ran.workDir, file));
  return { ...ran, plan, files, problems: await verifyPlan(plan, ran) };
}

async function decode(args: readonly string[]): Promise<{ bytes: Uint8Array; stderr: string }> {
  const child = Bun.spawn([testEnv().ffmpeg9, "-nostdin", "-hide_banner", "-nostats", ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [bytes, stderr] = await Promise.all([new Response(child.stdout).bytes(), new Response(child.stderr).text()]);
  return { bytes, stderr };
}

export interface Frame {
  readonly width: number;
  readonly height: number;
  /** RGB, row by row. */
  readonly pixels: Uint8Array;
}

/** Every frame a decoder gives, in order. */
export async function framesOf(path: string): Promise<Frame[]> {
  const media = await probe(path);
  const video = media.streams.find((stream) => stream.kind === "video");
  if (video === undefined) throw new Error(`${path} has no picture`);
  const { width, height } = video;
  const args = ["-v", "error", "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-pix_fmt", "rgb24"];
  const { bytes } = await decode([...args, "-f", "rawvideo", "pipe:1"]);
  const size = width * height * 3;
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, n) => ({
    width,
    height,
    pixels: bytes.subarray(n * size, (n + 1) * size),
  }));
}

/** 0–255, of a rectangle or of the whole. */
export function brightness({ width, height, pixels }: Frame, x = 0, y = 0, w = width, h = height): number {
  let sum = 0;
  for (let row = y; row < y + h; row += 1) {
    for (let at = (row * width + x) * 3; at < (row * width + x + w) * 3; at += 1) sum += pixels[at] ?? 0;
  }
  return sum / (w * h * 3);
}

/** Mean of the absolute differences of two frames' channels, 0–255. */
export function difference(a: Frame, b: Frame): number {
  let sum = 0;
  for (let at = 0; at < a.pixels.length; at += 1) sum += Math.abs((a.pixels[at] ?? 0) - (b.pixels[at] ?? 0));
  return sum / a.pixels.length;
}

/** How far the channels of each pixel lie apart: zero for grey. */
export function colourfulness({ pixels }: Frame): number {
  let sum = 0;
  for (let at = 0; at < pixels.length; at += 3) {
    const [r = 0, g = 0, b = 0] = pixels.subarray(at, at + 3);
    sum += Math.max(r, g, b) - Math.min(r, g, b);
  }
  return sum / (pixels.length / 3);
}

/** How much neighbouring pixels of a row differ: the sharpness. */
export function detail({ width, height, pixels }: Frame): number {
  let sum = 0;
  for (let row = 0; row < height; row += 1) {
    for (let x = 1; x < width; x += 1) {
      const at = (row * width + x) * 3;
      sum += Math.abs((pixels[at] ?? 0) - (pixels[at - 3] ?? 0));
    }
  }
  return sum / (width * height);
}

/** Samples of the first sound, mixed to one channel at 8 kHz. */
export async function samplesOf(path: string): Promise<Int16Array> {
  const args = ["-v", "error", "-i", path, "-map", "0:a:0", "-ac", "1", "-ar", "8000", "-f", "s16le", "pipe:1"];
  const { bytes } = await decode(args);
  return new Int16Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 2));
}

/** Root mean square of a part of the samples, in seconds. */
export function level(samples: Int16Array, from: number, until: number): number {
  const part = samples.subarray(Math.round(from * 8_000), Math.round(until * 8_000));
  return Math.sqrt(part.reduce((sum, value) => sum + value * value, 0) / Math.max(1, part.length));
}

/** Integrated loudness in LUFS, as ebur128 measures the finished file. */
export async function loudnessOf(path: string): Promise<number> {
  const { stderr } = await decode(["-i", path, "-map", "0:a:0", "-af", "ebur128", "-f", "null", "-"]);
  const all = [...stderr.matchAll(/\bI:\s*(-?[\d.]+) LUFS/g)];
  return Number(all.at(-1)?.[1]);
}

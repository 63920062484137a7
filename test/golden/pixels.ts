/** Looks at pictures: what a plan put where, and when. */
import { join } from "node:path";
import { compile } from "../../src/media/compile.ts";
import { parseOperations } from "../../src/media/operations/parse.ts";
import type { Plan } from "../../src/media/types.ts";
import { sampleCapabilities, sampleLimits } from "../support/capabilities.ts";
import { testEnv } from "../support/env.ts";
import { look, probe, runPlan } from "./harness.ts";

export type Rgb = readonly [number, number, number];

export interface Frame {
  readonly width: number;
  readonly height: number;
  at(x: number, y: number): Rgb;
  /** The mean of a rectangle. */
  mean(x: number, y: number, width: number, height: number): Rgb;
}

/** All frames of the first picture stream. */
export async function framesOf(path: string): Promise<Frame[]> {
  const media = await probe(path);
  const video = media.streams.find((one) => one.kind === "video");
  if (video === undefined) throw new Error(`${path} holds no picture`);
  const child = Bun.spawn(
    [...[testEnv().ffmpeg, "-nostdin", "-v", "error", "-i", path, "-map", "0:v:0"], "-f", "rawvideo"].concat(
      ...["-fps_mode", "passthrough", "-pix_fmt", "rgb24", "pipe:1"],
    ),
    { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  );
  const bytes = new Uint8Array(await new Response(child.stdout).arrayBuffer());
  const { width, height } = video;
  const size = width * height * 3;
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, n) =>
    frameOf(bytes.subarray(n * size, (n + 1) * size), width, height),
  );
}

function frameOf(bytes: Uint8Array, width: number, height: number): Frame {
  const at = (x: number, y: number): Rgb => {
    const from = (y * width + x) * 3;
    return [bytes[from] ?? -1, bytes[from + 1] ?? -1, bytes[from + 2] ?? -1];
  };
  return {
    ...{ width, height, at },
    mean(x, y, wide, high) {
      const sum = [0, 0, 0];
      for (let row = y; row < y + high; row += 1)
        for (let column = x; column < x + wide; column += 1)
          at(column, row).forEach((value, n) => {
            sum[n] = (sum[n] ?? 0) + value;
          });
      const [r = 0, g = 0, b = 0] = sum.map((value) => value / (wide * high));
      return [r, g, b];
    },
  };
}

export interface Conversion {
  readonly inputs: readonly string[];
  readonly output: string;
  readonly operations: readonly unknown[];
  readonly major: 5 | 9;
}

export interface Converted {
  readonly plan: Plan;
  /** Of the outputs, in their order. */
  readonly paths: readonly string[];
}

export async function convert({ inputs, output, operations, major }: Conversion): Promise<Converted> {
  const media = await Promise.all(inputs.map(look));
  const plan = compile({
    operations: parseOperations(operations),
    options: {},
    outputName: output,
    inputs: media.map((one, n) => ({ file: `in/${n}`, media: one })),
    capabilities: sampleCapabilities(major),
    limits: sampleLimits,
    threads: 1,
  });
  const { workDir } = await runPlan(plan, inputs, major === 5 ? testEnv().ffmpeg : testEnv().ffmpeg9);
  return { plan, paths: plan.outputs.map(({ file }) => join(workDir, file)) };
}

/** Where pixels of a kind are; `count` 0 for nowhere. */
export function spread(frame: Frame | undefined, is: (rgb: Rgb) => boolean) {
  const { width = 0, height = 0 } = frame ?? {};
  let [left, top, right, bottom, count] = [width, height, -1, -1, 0];
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      if (!is(frame?.at(x, y) ?? [0, 0, 0])) continue;
      count += 1;
      [left, top] = [Math.min(left, x), Math.min(top, y)];
      [right, bottom] = [Math.max(right, x), Math.max(bottom, y)];
    }
  return { left, top, right, bottom, count };
}

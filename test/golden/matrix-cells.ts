/** One cell of the matrix for real: planned, run, probed, and looked at. */
import { join } from "node:path";
import { RendiffError } from "../../src/errors.ts";
import { compile } from "../../src/media/compile.ts";
import { parseOperations } from "../../src/media/operations/parse.ts";
import type { MediaInfo, Plan } from "../../src/media/types.ts";
import { sampleCapabilities, sampleLimits } from "../support/capabilities.ts";
import { testEnv } from "../support/env.ts";
import type { Cell, Colour } from "../support/matrix.ts";
import { makeClip } from "../support/media.ts";
import { look, runPlan, verifyPlan } from "./harness.ts";
import { type Frame, framesOf, type Rgb } from "./pixels.ts";

export type Outcome =
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "made"; readonly problems: readonly string[] };

const operationsOf = ({ doing, target }: Cell): readonly object[] => [
  ...doing.operations,
  ...(target.transcode === undefined ? [] : [{ type: "transcode", ...target.transcode }]),
];

const looked = new Map<string, Promise<MediaInfo>>();
const lookOnce = (path: string): Promise<MediaInfo> => {
  const known = looked.get(path) ?? look(path);
  looked.set(path, known);
  return known;
};

/** Null instead of the plan: why there is none. */
export async function planOf(cell: Cell, major: 5 | 9): Promise<{ plan: Plan; paths: string[] } | { refused: string }> {
  const paths = await Promise.all([cell.input.clip, ...(cell.doing.further ?? [])].map(makeClip));
  const media = await Promise.all(paths.map(lookOnce));
  try {
    const plan = compile({
      ...{ operations: parseOperations(operationsOf(cell)), options: {}, outputName: cell.target.output, threads: 1 },
      inputs: media.map((one, n) => ({ file: `in/${n}`, media: one })),
      ...{ capabilities: sampleCapabilities(major), limits: sampleLimits },
    });
    return { plan, paths };
  } catch (error) {
    if (!(error instanceof RendiffError)) throw error;
    return { refused: `${error.kind}: ${error.publicMessage} ${error.details.map((one) => one.message).join(" ")}` };
  }
}

const PAINTS: readonly (readonly [Colour, Rgb])[] = [
  ["red", [255, 0, 0]],
  ["green", [0, 255, 0]],
  ["blue", [0, 0, 255]],
  ["white", [255, 255, 255]],
  ["black", [0, 0, 0]],
];

function colourOf(frame: Frame, x: number, y: number): Colour {
  const seen = frame.at(Math.floor(x * frame.width), Math.floor(y * frame.height));
  const distance = (rgb: Rgb): number => rgb.reduce((sum, value, n) => sum + (value - (seen[n] ?? 0)) ** 2, 0);
  return [...PAINTS].sort(([, a], [, b]) => distance(a) - distance(b))[0]?.[0] ?? "any";
}

const PLACES = [0.12, 0.3, 0.7, 0.88];

/** Everything in which the picture is not what it should be. */
export async function seen({ input, doing, target }: Cell, path: string): Promise<string[]> {
  if (input.view === null || target.kind === "sound") return [];
  const frames = await framesOf(path);
  const frame = frames[Math.floor(frames.length * (target.kind === "picture" ? 0 : (doing.at ?? 0.5)))];
  if (frame === undefined) return ["it has no frame"];
  const view = (doing.change ?? ((same) => same))(input.view);
  const wrong = PLACES.flatMap((y) =>
    PLACES.flatMap((x) => {
      const [wanted, actual] = [view(x, y), colourOf(frame, x, y)];
      return wanted === "any" || wanted === actual ? [] : [`${actual} and not ${wanted} at ${x},${y}`];
    }),
  );
  // At ten frames a second the last one is only halfway there.
  const faded = doing.name === "fade out" && target.kind === "film" && input.clip.container !== "gif";
  const last = frames.at(-1);
  const dark = last === undefined ? 0 : last.mean(0, 0, last.width, last.height).reduce((sum, one) => sum + one, 0) / 3;
  return [...wrong, ...(faded && dark > 40 ? [`its last frame is as bright as ${dark.toFixed(0)}`] : [])];
}

export async function runCell(cell: Cell, major: 5 | 9): Promise<Outcome> {
  const planned = await planOf(cell, major);
  if ("refused" in planned) return { kind: "refused", message: planned.refused };
  const { plan, paths } = planned;
  const ran = await runPlan(plan, paths, major === 5 ? testEnv().ffmpeg : testEnv().ffmpeg9);
  const output = plan.outputs[0];
  const shown = output === undefined ? ["it has no output"] : await seen(cell, join(ran.workDir, output.file));
  return { kind: "made", problems: [...(await verifyPlan(plan, ran)), ...shown] };
}

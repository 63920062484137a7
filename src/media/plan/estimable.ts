/** What of a conversion is run for an estimate: the plan itself, over a part of the film. */
import type { CompileRequest } from "../compile.ts";
import { compile } from "../compile.ts";
import { type Operation, parseOperations } from "../operations/parse.ts";
import { streamOf } from "../streaming/check-stream.ts";
import type { Plan } from "../types.ts";
import { unsupportedPlan } from "./refuse.ts";

export interface Estimable {
  /** As the job would run it, without its further files. */
  readonly whole: Plan;
  /** Of the output; null: a picture, or a film that does not say. */
  readonly outputSeconds: number | null;
  /** Where streams are copied a part can begin at the film's beginning only. */
  readonly copies: boolean;
  part(start: number, duration: number): Plan;
  /** From one key frame to the next, unless the picture asks for more of them; null where nothing is encoded. */
  readonly gopSeconds: number | null;
  readonly warnings: readonly string[];
}

/** Files that an operation makes beside the film. */
const SIDES = new Set(["thumbnail", "preview", "waveform"]);
const isSide = (operation: Operation): boolean =>
  SIDES.has(operation.type) || (operation.type === "audio" && operation.extract === true);

/** Of the encoders that are used most; others keep closer to it than to the length of a sample. */
const GOP_FRAMES = 250;

function gopOf({ operations, inputs }: CompileRequest, { outputs }: Plan): number | null {
  const source = inputs[0]?.media.streams.find((one) => one.kind === "video");
  const fps = outputs[0]?.expect.video[0]?.fps ?? (source?.kind === "video" ? source.averageFps : null);
  const transcode = operations.find((one) => one.type === "transcode");
  const frames = (transcode?.type === "transcode" ? transcode.gop_size : undefined) ?? GOP_FRAMES;
  return fps === null || fps <= 0 ? null : frames / fps;
}

/** What the streams of a kind are made with, `copy` among it. */
const codecsOf = ({ steps }: Plan, kind: "v" | "a"): string[] =>
  steps.flatMap(({ args }) =>
    args.flatMap((arg, n) => (new RegExp(`^-c:${kind}:\\d+$`).test(String(arg)) ? String(args[n + 1]) : [])),
  );

/** By itself a part would cut copied sound to the sample and encode it, which the whole does not. */
function withSoundCopied(operations: readonly Operation[]): readonly Operation[] {
  const asked = operations.some(({ type }) => type === "transcode");
  const all = asked ? operations : [...operations, ...parseOperations([{ type: "transcode" }])];
  return all.map((one) => (one.type === "transcode" ? { ...one, audio_codec: "copy" } : one));
}

/** Throws what `compile` throws, and `plan.unsupported` for what no part can stand for. */
export function estimable(request: CompileRequest): Estimable {
  const { operations, options } = request;
  if (streamOf(operations) !== null) throw unsupportedPlan("Packages cannot be estimated yet; estimate one rendition.");
  if (options.target !== undefined)
    throw unsupportedPlan(
      "A conversion with options.target finds its crf by samples of its own; estimate one with a crf.",
    );
  const sides = operations.filter(isSide);
  const films = operations.filter((operation) => !isSide(operation));
  // A job of further files alone is estimated as it is.
  const counted = sides.length === operations.length ? operations : films;
  const whole = compile({ ...request, operations: counted });
  const [pictures, sounds] = [codecsOf(whole, "v"), codecsOf(whole, "a")];
  const encodesPicture = pictures.length > 0 && !pictures.includes("copy");
  const copies = !encodesPicture && [...pictures, ...sounds].includes("copy");
  const copiesSound = encodesPicture && sounds.length > 0 && sounds.every((one) => one === "copy");
  const expected = whole.outputs[0]?.expect.durationSeconds ?? null;
  const part = (start: number, duration: number): Plan => {
    // A picture that is encoded is cut exactly either way.
    const mode = copies || copiesSound ? "fast" : "exact";
    const trim: Operation = { type: "trim", start: copies ? 0 : start, duration, mode };
    return compile({ ...request, operations: [...(copiesSound ? withSoundCopied(counted) : counted), trim] });
  };
  const left = sides.length > 0 && counted !== operations;
  return {
    ...{ whole, copies, part },
    gopSeconds: copies ? null : gopOf(request, whole),
    outputSeconds: sides.length > 0 && !left ? null : expected,
    warnings: left ? ["What the further files take is not part of the estimate."] : [],
  };
}

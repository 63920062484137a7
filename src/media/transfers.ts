/**
 * How each input reaches FFmpeg, and why: through a pipe while it is being fetched, where its container, its layout and the
 * plan's steps allow it; from a file otherwise. Pure: a plan shows it before anything runs.
 */
import type { Layout } from "./layout.ts";
import type { Arg, MediaInfo, Plan, PlannedTransfer, PlanStep } from "./types.ts";

export interface TransferInput {
  /** As in the plan: `in/0`. */
  readonly file: string;
  readonly media: MediaInfo;
  /** Null: it lies on this machine. */
  readonly layout: Layout | null;
}

const isFile = (arg: Arg, file: string): boolean => typeof arg !== "string" && arg.file === file;
const reads = (step: PlanStep, file: string): number => step.args.filter((arg) => isFile(arg, file)).length;
/** Options of an input that need it to be sought in. */
const SEEKS = new Set(["-ss", "-sseof", "-stream_loop", "-seek_timestamp"]);

/** Why a step cannot read the file from a pipe; null when it can. */
function stepProblem({ args, program }: PlanStep, file: string): string | null {
  if (program !== undefined) return "another program than FFmpeg reads it";
  const at = args.findIndex((arg) => isFile(arg, file));
  if (args[at - 1] !== "-i") return "it is read by a filter";
  if (args.slice(0, at).some((arg) => typeof arg === "string" && SEEKS.has(arg))) return "it is sought in";
  return null;
}

/** A stream that the part that was looked at says too little of. */
export const isFullyProbed = ({ streams }: MediaInfo): boolean =>
  streams.every((stream) => {
    if (stream.kind === "video") return stream.width > 0 && stream.height > 0 && stream.pixelFormat !== null;
    return stream.kind !== "audio" || (stream.sampleRate > 0 && stream.channels > 0 && stream.sampleFormat !== null);
  });

function problemOf(plan: Plan, { file, media, layout }: TransferInput): string | null {
  if (layout === null) return null;
  if (!layout.streams) return layout.reason;
  if (layout.container !== media.container && !(layout.container === "mp4" && media.demuxers.includes("mov"))) {
    return "its content is not what its beginning says";
  }
  if (layout.container === "mp4" && media.chapters > 0) return "its chapters are read from all over it";
  const readers = plan.steps.filter((step) => reads(step, file) > 0);
  const [only] = readers;
  if (only === undefined || readers.length > 1 || reads(only, file) > 1) return "it is read more than once";
  return stepProblem(only, file);
}

/** The plan with its transfers; the step that reads a streamed input gets it on its standard input. */
export function withTransfers(plan: Plan, inputs: readonly TransferInput[]): Plan {
  const piped = new Map<PlanStep, string>();
  const transfers = inputs.map((input): PlannedTransfer => {
    const { file, layout } = input;
    if (layout === null) return { file, mode: "in_place", reason: "it lies on this machine" };
    const problem = problemOf(plan, input);
    const step = plan.steps.find((one) => reads(one, file) > 0);
    if (problem !== null || step === undefined)
      return { file, mode: "downloaded", reason: problem ?? "nothing reads it" };
    if (piped.has(step)) return { file, mode: "downloaded", reason: "another input has the step's pipe" };
    piped.set(step, file);
    const container = layout.streams ? layout.container : "";
    return { file, mode: "streamed", reason: `${container} can be read from a pipe while it is fetched` };
  });
  const steps = plan.steps.map((step): PlanStep => {
    const file = piped.get(step);
    if (file === undefined) return step;
    return { ...step, stdin: file, args: step.args.map((arg) => (isFile(arg, file) ? "pipe:0" : arg)) };
  });
  return { ...plan, steps, transfers };
}

/** The step reading its streamed input from the file instead. */
export function fromFile({ stdin, ...step }: PlanStep): PlanStep {
  if (stdin === undefined) return step;
  return {
    ...step,
    args: step.args.map((arg, at, all) => (arg === "pipe:0" && all[at - 1] === "-i" ? { file: stdin } : arg)),
  };
}

/** What each file of a step adds to FFmpeg's command line, and what it costs. */
import type { Container } from "../containers.ts";
import type { CrfRange, MemoryModel } from "../encoders/video-encoder.ts";
import type { Chain } from "../filtergraph.ts";
import type { Arg, Measure, PlannedOutput, VideoStream } from "../types.ts";
import type { Use } from "./inputs.ts";
import type { Window } from "./timeline.ts";

/** What a branch of the graph is built with; known when the step's outputs are. */
export interface GraphContext {
  /** Index of the `-i` of a further input of the plan, for a draft that names it in `uses`. */
  inputOf(planInput: number): number;
  /** `-ss` of the input. */
  readonly seekSeconds: number;
  /** Where the input's streams are: index of the `-i`. */
  readonly input: number;
}

/** Of one output: chains that end in its labels, and the arguments that map and encode them. */
export interface OutputArgs {
  readonly chains: readonly Chain[];
  readonly args: readonly Arg[];
}

export interface MemoryUse {
  readonly model: MemoryModel;
  readonly megapixels: number;
}

/** A pass over the input that finds something out for the step that follows it. */
export interface Preparation {
  /** The step's id: `stabilize`, `loudness`. */
  readonly step: string;
  /** Of a picture; the sound alone is cheap. */
  readonly megapixels: number;
  readonly heldBytes: number;
  readonly needs: readonly string[];
  readonly measures: readonly Measure[];
  readonly writes: readonly string[];
  build(context: GraphContext): OutputArgs;
}

/** The picture that an encoder is given, as far as it can be compared with what is made of it. */
export interface GivenPicture {
  /** As the output's own first stream will be. */
  readonly video: VideoStream;
  /** Streams of film in the output, before its sound. */
  readonly films: number;
  /** Where the chains end: a label, or the input's own stream. */
  readonly pad: string;
  readonly heldBytes: number;
  chains(context: GraphContext): readonly Chain[];
  /** Null or absent: it is not encoded by a constant quality. */
  readonly crf?: CrfRange | null;
  /** A part of it, and its encode; absent: it is not encoded. */
  sampled?(window: Window): SampledPicture;
}

export interface SampledPicture extends GivenPicture {
  encode(context: GraphContext): OutputArgs;
}

/** An output that the compiler has decided on, still to be put into a step. */
export interface OutputDraft {
  /** Unique within the plan; makes labels and file names. */
  readonly id: number;
  readonly container: Container;
  readonly window: Window;
  /**
   * Where its input may be sought to. `free`: anywhere before its part, the graph cuts; `bound`: streams that bypass the
   * graph go by the seek, so it must be this part's; `start`: a copy, which begins at the keyframe before the very start.
   */
  readonly seek: "free" | "bound" | "start";
  /** Keyframes are enough for it. */
  readonly keyframesOnly: boolean;
  readonly durationSeconds: number | null;
  readonly memory: readonly MemoryUse[];
  /** Further inputs of the plan that its arguments name; those of its chains need not be here. */
  readonly uses?: readonly Use[];
  readonly bytesMax: number;
  /** What the whole of its files may take, when that is less. */
  readonly bytesLikely: number;
  readonly files: readonly PlannedOutput[];
  readonly warnings: readonly string[];
  readonly copies: boolean;
  /** Absent: it has no film, or its pictures are not one by one those of the input. */
  readonly given?: GivenPicture;
  /** Arguments before the inputs, and what of the machine the encoder has to see. */
  readonly hardware?: { readonly head: readonly string[]; readonly devices: readonly string[] };
  /** In this order, before it. */
  readonly preparations: readonly Preparation[];
  /** Measurements that its arguments hold placeholders for, and those it makes itself, in the order of its graph. */
  readonly needs: readonly string[];
  readonly measures: readonly Measure[];
  /** FFmpeg's two passes, of which the first writes nothing. */
  readonly twoPass: boolean;
  build(context: GraphContext, pass: 1 | 2 | null): OutputArgs;
}

/**
 * Pictures get no extension of their own: by its name alone, FFmpeg would take `0.jpg` for a sequence of files, which
 * inputs may not be.
 */
export const extensionOf = (container: Container): string => {
  const isStill = container.still || container.name === "webp";
  return isStill ? "picture" : (container.extensions[0] ?? container.name);
};

export const workFile = (id: number, container: Container, part?: number): string => {
  const extension = extensionOf(container);
  return part === undefined ? `out/${id}.${extension}` : `out/${id}-${part}.${extension}`;
};

/**
 * `options.target`: parts of the film that are encoded and measured at one crf after another, until the highest is known that
 * reaches the score (`crf-search.ts`). The steps hold a placeholder where the crf belongs; so does the encode that follows.
 */
import type { CrfRange } from "../encoders/video-encoder.ts";
import { printGraph } from "../filtergraph.ts";
import { compileMeasure } from "../measure/compile-measure.ts";
import type { CrfGrid } from "../measure/crf-search.ts";
import { TARGET_PREFIX } from "../measure/policy.ts";
import type { QualityTarget } from "../operations/quality.schema.ts";
import type { Arg, PlanStep, SearchPlan, SearchSample } from "../types.ts";
import type { PlanContext } from "./context.ts";
import { givenTo, madeOf } from "./given.ts";
import { furtherInputs, inputArgs, megapixelsOf } from "./inputs.ts";
import type { GivenPicture, OutputDraft, SampledPicture } from "./output.ts";
import { rawArgs } from "./raw.ts";
import { invalidPlan } from "./refuse.ts";
import { memoryBytesMax } from "./resources.ts";
import { joinedBefore, joinMemory } from "./steps.ts";
import { seekFor, type Window, windowOf } from "./timeline.ts";

/** Stands for the crf in the arguments of a plan. */
export const CRF_PLACEHOLDER = "<search/crf>";
const CRF_OPTION = "-crf:v:0";

/** A film hardly longer than its samples is taken whole, so that its score is known exactly. */
const SAMPLE_SECONDS = 10;
const SAMPLES_MIN = 3;
const SAMPLES_MAX = 8;
const SECONDS_PER_SAMPLE = 240;
const WHOLE_SHARE = 0.6;
/** Of the time that encoding takes: some tries, each of a part of the film. */
const SEARCH_SHARE = 0.4;
const FINAL_SHARE = 0.2;
const LOWER_SHARE = 0.35;

/** Parts of `window`, in the input's time, spread evenly. */
export function sampleWindows({ start, end }: { start: number; end: number }, rate: number): Window[] {
  const length = end - start;
  const count = Math.min(SAMPLES_MAX, Math.max(SAMPLES_MIN, Math.round(length / rate / SECONDS_PER_SAMPLE) + 2));
  const sample = SAMPLE_SECONDS * rate;
  if (count * sample >= WHOLE_SHARE * length) return [{ start, end }];
  const gap = (length - count * sample) / count;
  return Array.from({ length: count }, (_, n) => {
    const from = start + gap / 2 + n * (sample + gap);
    return { start: from, end: from + sample };
  });
}

const withPlaceholder = (args: readonly Arg[]): Arg[] => {
  const at = args.indexOf(CRF_OPTION);
  return args.map((arg, n) => (at >= 0 && n === at + 1 ? CRF_PLACEHOLDER : arg));
};

type Bare = Omit<PlanStep, "weight">;

/** The picture alone, of one part; the sound has no part in the score. */
function sampleEncode(context: PlanContext, draft: OutputDraft, picture: SampledPicture, sample: Sample): Bare {
  const { joined, source, threads, operations } = context;
  const { window, seconds } = sample;
  const seekSeconds = joined === null ? seekFor([window], source.seeksExactly) : joined.reading.seekSeconds;
  const graph = { seekSeconds, input: 0, inputOf: () => 0 };
  const further = furtherInputs(
    context,
    joinedBefore(context, picture.encode(graph).chains, () => 0),
    joined?.uses,
  );
  const { chains, args } = picture.encode({ ...graph, inputOf: further.inputOf });
  const filterGraph = printGraph({ chains: further.unfold(joinedBefore(context, chains, further.inputOf)) });
  const reading = joined?.reading ?? { windows: [window], seekSeconds, keyframesOnly: false };
  return {
    id: "sample",
    args: [
      ...["-filter_complex_threads", String(threads)],
      ...inputArgs(context, reading),
      ...further.args,
      ...["-filter_complex", filterGraph],
      ...withPlaceholder([...args, ...rawArgs(operations, "picture")]),
      ...["-an", "-sn", "-f", "matroska", { file: sample.file }],
    ],
    filterGraph,
    durationSeconds: seconds,
    threads,
    memoryBytesMax: memoryBytesMax(
      [...draft.memory, ...joinMemory(context)],
      megapixelsOf(source.input) + further.megapixels,
      threads,
    ),
    fileBytesMax: draft.bytesMax,
    writes: [sample.file],
  };
}

interface Sample {
  readonly window: Window;
  /** Of the output. */
  readonly seconds: number;
  readonly file: string;
}

function sampleOf(
  context: PlanContext,
  draft: OutputDraft,
  given: GivenPicture & { readonly sampled: NonNullable<GivenPicture["sampled"]> },
  sample: Sample,
  target: QualityTarget,
): SearchSample {
  const picture = given.sampled(sample.window);
  const sampled: OutputDraft = { ...draft, window: sample.window, durationSeconds: sample.seconds, given: picture };
  const made = madeOf(sampled);
  const { capabilities, limits, threads } = context;
  const { steps } = compileMeasure({
    distorted: { file: sample.file, media: { ...made.media, demuxers: ["matroska", "webm"], container: "mkv" } },
    ...{ reference: null, prepared: givenTo(context, sampled), metrics: ["vmaf"], vmafModel: target.vmaf_model },
    ...{ subsample: 1, folder: "search", findingPrefix: TARGET_PREFIX, capabilities, limits, threads },
  });
  const bare = [sampleEncode(context, draft, picture, sample), ...steps.map(({ weight: _, ...step }) => step)];
  return {
    startSeconds: sample.window.start,
    durationSeconds: sample.seconds,
    file: sample.file,
    steps: bare.map((step) => ({ ...step, weight: 1 / bare.length })),
  };
}

export interface Searched {
  /** Beside the steps that follow it, whose weights leave it its share. */
  search(steps: readonly PlanStep[]): SearchPlan;
  /** They measure the whole output. */
  readonly final: readonly PlanStep[];
}

function refuse(message: string, path = "options.target"): never {
  throw invalidPlan(message, path);
}

/** Of the input's picture, as far as it is known: what a size in percent is measured by. */
function pictureBytesOf({ source }: PlanContext): number | null {
  const { media, video, audio } = source;
  if (media.durationSeconds === null) return null;
  if (video?.bitrate != null) return (video.bitrate / 8) * media.durationSeconds;
  const heard = audio.reduce((sum, { bitrate }) => sum + ((bitrate ?? 0) / 8) * (media.durationSeconds ?? 0), 0);
  return media.sizeBytes === null ? null : Math.max(1, media.sizeBytes - heard);
}

/** Below its least a file grows beyond what is reserved for it, for nothing that can be seen. */
function gridOf({ min, max, default: first, fractions }: CrfRange): CrfGrid {
  return { min: Math.max(min, Math.round(first - LOWER_SHARE * (max - min))), max, step: fractions ? 0.5 : 1, first };
}

/** Null when no score is asked for. Throws `plan.invalid` where there is no crf to be found. */
export function searchOf(context: PlanContext, draft: OutputDraft | undefined): Searched | null {
  const { target } = context.options;
  if (target === undefined || draft === undefined) return null;
  const { given } = draft;
  const { source, operations, capabilities, limits, threads } = context;
  if (given?.sampled === undefined || given.crf == null)
    refuse("The picture is not encoded by a constant quality here, so that no quality can be found for it.");
  if (draft.preparations.some(({ step }) => step === "stabilize"))
    refuse("A film that is stabilized cannot be sampled in parts; leave out options.target.");
  if (target.max_size_percent !== undefined && pictureBytesOf(context) === null)
    refuse("The input does not say how large its picture is; leave out max_size_percent.");
  const { rate } = windowOf(operations, source.durationSeconds);
  const end = draft.window.end ?? source.videoSeconds ?? source.durationSeconds;
  if (end === null) refuse("The input does not say how long it is, so that no parts of it can be sampled.");
  const windows = sampleWindows({ start: draft.window.start, end }, rate);
  const [only] = windows;
  // The whole is read as the encode reads it.
  const parts = windows.length === 1 && only !== undefined ? [draft.window] : windows;
  const picture = { ...given, sampled: given.sampled };
  const samples = parts.map((window, n) =>
    sampleOf(
      context,
      draft,
      picture,
      { window, seconds: ((window.end ?? end) - window.start) / rate, file: `search/${n}.mkv` },
      target,
    ),
  );
  const { steps } = compileMeasure({
    ...{ distorted: madeOf(draft), reference: null, prepared: givenTo(context, draft), metrics: ["vmaf"] },
    ...{ vmafModel: target.vmaf_model, subsample: 1, folder: "target", findingPrefix: TARGET_PREFIX },
    ...{ capabilities, limits, threads },
  });
  const grid = gridOf(given.crf);
  return {
    search: (all) => ({
      target,
      grid,
      samples,
      whole: windows.length === 1,
      pictureBytes: pictureBytesOf(context),
      outputSeconds: (end - draft.window.start) / rate,
      weight: 1 - all.reduce((sum, { weight }) => sum + weight, 0),
    }),
    final: steps.map((step) => ({ ...step, id: "target" })),
  };
}

/** A step with the crf that was found, or is to be tried. */
export const withCrf = (step: PlanStep, crf: number): PlanStep => ({
  ...step,
  args: step.args.map((arg) => (arg === CRF_PLACEHOLDER ? String(crf) : arg)),
});

/** The steps of an encode at a crf that is still to be found, and what measures its outcome. */
export function withSearch(steps: readonly PlanStep[], searched: Searched | null): readonly PlanStep[] {
  if (searched === null) return steps;
  const share = 1 - SEARCH_SHARE - FINAL_SHARE;
  return [
    ...steps.map((step) => ({ ...step, args: withPlaceholder(step.args), weight: step.weight * share })),
    ...searched.final.map((step) => ({ ...step, weight: FINAL_SHARE })),
  ];
}

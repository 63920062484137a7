/**
 * (operations, options, probed input, capabilities) → Plan. Pure: the same request gives the same plan.
 *
 * Operations apply in the order given, in one graph; one decode feeds the main output and the files that operations make.
 * A stream is copied where nothing asks for more, and encoded where something does.
 */
import type { ErrorDetail } from "../errors.ts";
import { RendiffError } from "../errors.ts";
import { isAllowedDemuxer } from "./input-formats.ts";
import { analysisOf, compileAnalyze } from "./measure/compile-analyze.ts";
import { checkInputLimits } from "./media-info-limits.ts";
import { findProblems, fitsLimits } from "./operations/check.ts";
import type { ConvertOptions } from "./operations/options.schema.ts";
import type { Operation } from "./operations/parse.ts";
import { referencesOf } from "./operations/references.ts";
import type { Shape, SideFile } from "./operations/shape.ts";
import { drawnFiles, embeddedOf } from "./plan/captions.ts";
import type { PlanContext } from "./plan/context.ts";
import { edgeSteps, edgesOf, keyframeWindows } from "./plan/edges.ts";
import { draftExtract } from "./plan/extract.ts";
import { joinOf } from "./plan/join.ts";
import type { OutputDraft } from "./plan/output.ts";
import { draftPreview } from "./plan/preview.ts";
import { draftPrimary } from "./plan/primary.ts";
import { invalidPlan, overLimit, unsupportedInput } from "./plan/refuse.ts";
import { searchOf, withSearch } from "./plan/search.ts";
import { toSource } from "./plan/source.ts";
import { stepsOf } from "./plan/steps.ts";
import { draftThumbnail } from "./plan/thumbnails.ts";
import type { Window } from "./plan/timeline.ts";
import { policedOutputs, policyOf, withPolicy } from "./plan/verify-policy.ts";
import { draftWaveform } from "./plan/waveform.ts";
import { streamOf } from "./streaming/check-stream.ts";
import { compileStream } from "./streaming/compile-stream.ts";
import { mp4Container } from "./streaming/renditions.ts";
import type { Capabilities, MediaInfo, MediaLimits, Plan, PlanFile, PlanInput } from "./types.ts";

export interface CompileRequest {
  readonly operations: readonly Operation[];
  readonly options: ConvertOptions;
  /** `output_path` or the file name at its end: its extension names the container, its stem the further files. */
  readonly outputName: string;
  /** The first is the one to convert; then what the operations name, in their order. */
  readonly inputs: readonly PlanInput[];
  readonly capabilities: Capabilities;
  readonly limits: MediaLimits;
  /** For decoder, filters and encoder each; `options.threads` may lower it. */
  readonly threads: number;
  /** Names the segments of a package; of one attempt alone. Default: what a dry run shows. */
  readonly attemptName?: string;
}

const DRY_RUN_NAME = "segments";
const MAIN: PlanContext["output"] = { id: 0, role: "primary", name: null };
const PASS_LOGS_BYTES = 100e6;

function refuse(kind: "plan.invalid" | "plan.unsupported", details: readonly ErrorDetail[]): RendiffError {
  const [first] = details;
  const what = kind === "plan.invalid" ? "The request is not valid" : "This cannot be done here";
  return new RendiffError({
    kind,
    publicMessage: `${what}: ${first?.path ?? ""}: ${first?.message ?? ""}.`,
    details: details.slice(0, 20),
  });
}

/** Throws `input.too_large`, `limit.exceeded` or `input.unsupported`. */
export function checkInput(media: MediaInfo, limits: MediaLimits): void {
  const problem = checkInputLimits(media, limits);
  if (problem !== null) throw problem;
  if (!media.demuxers.some(isAllowedDemuxer)) {
    throw unsupportedInput(`Inputs of the format ${media.container} are not accepted.`);
  }
}

/** Null: a package or an analysis, which has no file whose shape the operations give. */
function checkProblems(request: CompileRequest): Shape | null {
  const { invalid, unsupported, shape } = findProblems(request);
  const whole = streamOf(request.operations) !== null || analysisOf(request.operations) !== null;
  if (invalid.length > 0 || (shape === null && !whole)) throw refuse("plan.invalid", invalid);
  if (unsupported.length > 0) throw refuse("plan.unsupported", unsupported);
  return shape;
}

function contextOf(request: CompileRequest): PlanContext {
  const { operations, options, capabilities, limits } = request;
  const shape = checkProblems(request);
  const [input] = request.inputs;
  if (input === undefined) throw unsupportedInput("There is no input.");
  checkInput(input.media, limits);
  const threads = Math.max(1, Math.min(request.threads, options.threads ?? request.threads));
  // Captions were probed as nothing else than captions.
  const kinds = referencesOf(operations).map(({ kind }) => kind);
  request.inputs.slice(1).forEach(({ media }, n) => {
    if (kinds[n] === "media") checkInput(media, limits);
  });
  const joined = joinOf(request, limits);
  const source = joined?.source ?? toSource(input);
  const trim = operations.findIndex(({ type }) => type === "trim");
  if (trim >= 0 && source.video?.still === true && source.audio.length === 0) {
    throw invalidPlan("The input is a single picture, of which nothing can be trimmed.", `operations[${trim}]`);
  }
  // A package has no file of its own; its renditions go through MP4.
  const files: Shape = shape ?? { container: mp4Container(), transcode: null, hasPrimary: true, sides: [] };
  return {
    operations,
    options,
    shape: files,
    source,
    joined,
    inputs: request.inputs,
    capabilities,
    limits,
    threads,
    output: MAIN,
  };
}

function draftSide(context: PlanContext, side: SideFile, id: number, outputName: string): OutputDraft {
  const { operation } = side;
  switch (operation.type) {
    case "thumbnail":
      return draftThumbnail(context, { ...side, operation }, id, outputName);
    case "preview":
      return draftPreview(context, { ...side, operation }, id);
    case "waveform":
      return draftWaveform(context, { ...side, operation }, id);
    default:
      return draftExtract(context, { ...side, operation }, id);
  }
}

/** Numbered pictures and maps have names that nobody gave, so that only now all of them are known. */
function checkNames(drafts: readonly OutputDraft[], outputName: string): void {
  const names = new Set<string>();
  for (const { name } of drafts.flatMap(({ files }) => files)) {
    const whole = name ?? outputName.slice(outputName.lastIndexOf("/") + 1);
    if (names.has(whole))
      throw invalidPlan(
        `Two outputs of this job would be named ${whole}; give each an output of its own.`,
        "operations",
      );
    names.add(whole);
  }
}

function checkOutputs(drafts: readonly OutputDraft[], limits: MediaLimits): void {
  const count = drafts.reduce((sum, { files }) => sum + files.length, 0);
  if (count > limits.maxOutputs)
    throw overLimit(`The job would make ${count} files; at most ${limits.maxOutputs} are allowed.`);
  for (const { files } of drafts) {
    for (const { width, height } of files[0]?.expect.video ?? []) {
      if (fitsLimits(width, height, limits)) continue;
      throw overLimit(`The output would be ${width}x${height}; ${limits.maxWidth}x${limits.maxHeight} is allowed.`);
    }
  }
}

/** The steps of an exact trim that copies what lies between its edges, or why it cannot be one. */
function piecesOf(context: PlanContext, drafts: readonly OutputDraft[]) {
  const [primary] = drafts;
  // A quality that is to be found is that of the whole film.
  const pieced = drafts.length === 1 && context.options.target === undefined;
  const trim = pieced ? edgesOf(context) : null;
  if (trim === null || primary === undefined) return { pieces: null, reasons: [] };
  if ("reason" in trim) return { pieces: null, reasons: [`The whole part is encoded again, because ${trim.reason}.`] };
  if (primary.preparations.length > 0) return { pieces: null, reasons: [] };
  // Each piece once, all of them once joined.
  const bytes = (context.source.media.sizeBytes ?? context.limits.maxInputBytes) * 2.5;
  return { pieces: { plan: edgeSteps(context, trim.edges, primary), bytes }, reasons: [] };
}

function filesOf(context: PlanContext): PlanFile[] {
  const drawn = drawnFiles(context);
  return context.shape.hasPrimary ? [...drawn, ...embeddedOf(context).map(({ file }) => file)] : drawn;
}

/** Throws `plan.invalid`, `plan.unsupported`, `limit.exceeded`, `input.too_large` or `input.unsupported`. */
export function compile(request: CompileRequest): Plan {
  const analysis = analysisOf(request.operations);
  if (analysis !== null) {
    checkProblems(request);
    for (const { media } of request.inputs) checkInput(media, request.limits);
    return compileAnalyze(request, analysis);
  }
  const context = contextOf(request);
  const stream = streamOf(request.operations);
  if (stream !== null) {
    const { outputName, attemptName = DRY_RUN_NAME } = request;
    return compileStream({ context, operation: stream, outputName, attemptName });
  }
  const { shape, source, joined } = context;
  const first = shape.hasPrimary ? [draftPrimary(context)] : [];
  const sides = shape.sides.map((side, n) => draftSide(context, side, n + first.length, request.outputName));
  const drafts = [...first, ...sides];
  checkOutputs(drafts, request.limits);
  checkNames(drafts, request.outputName);
  const logs = drafts.some(({ twoPass }) => twoPass) ? PASS_LOGS_BYTES : 0;
  const { pieces, reasons } = piecesOf(context, drafts);
  const policed = policyOf(context, first[0]);
  const searched = searchOf(context, first[0]);
  const { files, steps } = pieces?.plan ?? { files: filesOf(context), steps: stepsOf(drafts, context) };
  const told = drafts.flatMap(({ warnings }) => warnings);
  const all = withPolicy(withSearch(steps, searched), policed);
  const likely = drafts.reduce((sum, { bytesLikely }) => sum + bytesLikely, 0);
  return {
    version: 1,
    ...(request.options.preset === undefined ? {} : { preset: request.options.preset }),
    files,
    steps: all,
    ...(searched === null ? {} : { search: searched.search(all) }),
    ...(policed === null ? {} : { policy: policed.policy }),
    outputs: policedOutputs(drafts, context),
    warnings: [...new Set([...source.media.warnings, ...(joined?.warnings ?? []), ...told, ...reasons])],
    copiesOnly: drafts.every(({ copies }) => copies),
    // A crf that is still to be found may be lower than the usual one, and its samples lie beside the film.
    workBytesMax: Math.ceil((searched === null ? likely : 3 * likely) + logs + (pieces?.bytes ?? 0)),
  };
}

/**
 * Where the keyframes of the first input have to be known, in seconds from its beginning; null where no plan would use
 * them. Throws like `compile`.
 */
export const keyframesFor = (request: CompileRequest): readonly Window[] | null =>
  streamOf(request.operations) === null ? keyframeWindows(contextOf(request)) : null;

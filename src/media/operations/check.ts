/**
 * Everything about a conversion that can be judged before its input is looked at: names, ranges by codec and container,
 * the deployment's limits and abilities. The compiler asks again with the input at hand.
 */
import type { ErrorDetail } from "../../errors.ts";
import { invalidRequest } from "../../validation/parse.ts";
import type { Container } from "../containers.ts";
import { chooseHardware } from "../encoders/hardware.ts";
import { audioEncoder, chooseEncoder, videoEncoder } from "../encoders/registry.ts";
import { analysisOf } from "../measure/compile-analyze.ts";
import { vmafProblem } from "../measure/vmaf-ability.ts";
import { checkStreamPlan, streamOf } from "../streaming/check-stream.ts";
import type { Ability, Capabilities, MediaLimits } from "../types.ts";
import {
  type AudioChoice,
  audioChoice,
  checkTranscode,
  namedHardware,
  type VideoChoice,
  videoChoice,
} from "./check-codec.ts";
import { checkConcat } from "./check-concat.ts";
import { checkQuality } from "./check-quality.ts";
import { checkRaw, checkRawAllowed } from "./check-raw.ts";
import { changesSoundToo, changesTime, FILTERS_OF } from "./filter.schema.ts";
import type { ConvertOptions } from "./options.schema.ts";
import { type Operation, unsupportedRequest } from "./parse.ts";
import { type Shape, type SideFile, toShape } from "./shape.ts";

export interface CheckRequest {
  readonly operations: readonly Operation[];
  readonly options: ConvertOptions;
  /** `output_path` or the file name at its end. */
  readonly outputName: string;
  /** Null while no worker has said what it can do: then nothing is refused for that. */
  readonly capabilities: Capabilities | null;
  readonly limits: MediaLimits;
}

export interface Problems {
  readonly invalid: ErrorDetail[];
  readonly unsupported: ErrorDetail[];
}

/** Filters that an operation cannot do without. */
const FILTERS: Readonly<Partial<Record<Operation["type"], readonly string[]>>> = {
  scale: ["scale"],
  crop: ["crop"],
  pad: ["pad"],
  rotate: ["transpose"],
  flip: ["hflip", "vflip"],
  audio: ["volume", "aformat"],
  thumbnail: ["scale", "fps", "thumbnail", "tile"],
  preview: ["scale", "fps"],
  watermark: ["overlay", "scale", "colorchannelmixer"],
  text: ["drawtext"],
  subtitle: ["ass"],
  concat: ["concat", "scale", "pad", "fps", "tpad", "trim", "aresample", "apad", "atrim"],
};

const PICTURE_OPERATIONS: ReadonlySet<Operation["type"]> = new Set([
  "scale",
  "crop",
  "pad",
  "rotate",
  "flip",
  "watermark",
  "text",
]);

const changesPicture = (operation: Operation): boolean =>
  PICTURE_OPERATIONS.has(operation.type) ||
  operation.type === "filter" ||
  (operation.type === "subtitle" && operation.mode === "burn");

/** An operation on the picture that does nothing where there is none. */
export const needsPicture = (operation: Operation): boolean =>
  changesPicture(operation) && !(operation.type === "filter" && changesSoundToo(operation));

const nameOf = (operation: Operation): string =>
  operation.type === "filter" ? `filter ${operation.name}` : operation.type;

/** In either orientation. */
export const fitsLimits = (width: number, height: number, limits: MediaLimits): boolean =>
  (width <= limits.maxWidth && height <= limits.maxHeight) || (width <= limits.maxHeight && height <= limits.maxWidth);

const sideOf = (value: unknown): number => (typeof value === "number" ? value : 1);

function checkSizes(operation: Operation, index: number, limits: MediaLimits, invalid: ErrorDetail[]): void {
  if (
    operation.type !== "scale" &&
    operation.type !== "transcode" &&
    operation.type !== "thumbnail" &&
    operation.type !== "waveform"
  )
    return;
  const { width, height } = operation;
  if (fitsLimits(sideOf(width), sideOf(height), limits)) return;
  const field = sideOf(width) >= sideOf(height) ? "width" : "height";
  invalid.push({
    path: `operations[${index}].${field}`,
    message: `must fit ${limits.maxWidth}x${limits.maxHeight} here, in either orientation`,
  });
}

const makesPicture = ({ type }: Operation): boolean => type === "thumbnail" || type === "preview";

function checkAgainstCopy(
  { operations }: CheckRequest,
  shape: Shape,
  video: VideoChoice,
  audio: AudioChoice,
  invalid: ErrorDetail[],
): void {
  operations.forEach((operation, index) => {
    const path = `operations[${index}].type`;
    if (operation.type === "filter" && changesSoundToo(operation) && audio === "copy") {
      const instead = changesTime(operation) ? "" : "; give audio false to leave the sound alone";
      invalid.push({
        path,
        message: `is ${nameOf(operation)}, which changes the sound, and audio_codec is copy${instead}`,
      });
    }
    if (changesPicture(operation)) {
      if (video === "copy")
        invalid.push({ path, message: `is ${nameOf(operation)}, which changes the picture, and video_codec is copy` });
      else if (
        video === "none" &&
        needsPicture(operation) &&
        !shape.sides.some((side) => side.index > index && makesPicture(side.operation))
      ) {
        invalid.push({
          path,
          message: `is ${nameOf(operation)}, but there will be no picture in ${shape.container.name}`,
        });
      }
    }
    if (operation.type === "trim" && operation.mode === "exact" && (video === "copy" || audio === "copy")) {
      invalid.push({
        path: `operations[${index}].mode`,
        message: "is exact, which encodes again, and a codec is copy; use mode fast",
      });
    }
    if (operation.type !== "audio" || operation.extract) return;
    if (audio === "copy" && !operation.remove)
      invalid.push({ path, message: "is audio, which changes the sound, and audio_codec is copy" });
    if (audio === "none" && !operation.remove)
      invalid.push({ path, message: `is audio, but there will be no sound in ${shape.container.name}` });
  });
}

function checkSide({ operation, index, container }: SideFile, invalid: ErrorDetail[]): void {
  if (operation.type === "thumbnail" && operation.quality !== undefined && container.name === "png") {
    invalid.push({ path: `operations[${index}].quality`, message: "is not a parameter of png, which is lossless" });
  }
  if (operation.type === "waveform" && container.name === "json") {
    for (const field of ["height", "color"] as const) {
      if (operation[field] !== undefined)
        invalid.push({ path: `operations[${index}].${field}`, message: "is not a parameter of json" });
    }
  }
  if (operation.type !== "audio") return;
  const [codec = "aac"] = container.audio.encodes;
  const { channelsMax, rates } = audioEncoder(codec);
  if (operation.channels !== undefined && operation.channels > channelsMax) {
    invalid.push({ path: `operations[${index}].channels`, message: `must be at most ${channelsMax} for ${codec}` });
  }
  if (operation.sample_rate !== undefined && rates.length > 0 && !rates.includes(operation.sample_rate)) {
    invalid.push({
      path: `operations[${index}].sample_rate`,
      message: `must be one of ${rates.join(", ")} for ${codec}`,
    });
  }
}

function checkNames(shape: Shape, outputName: string, limits: MediaLimits, invalid: ErrorDetail[]): void {
  const names = new Set([outputName.slice(outputName.lastIndexOf("/") + 1)]);
  for (const { name, index } of shape.sides) {
    if (name === null) continue;
    if (names.has(name))
      invalid.push({ path: `operations[${index}].output`, message: "is the name of another output of this job" });
    names.add(name);
  }
  const count = shape.sides.reduce((sum, { operation }) => sum + pictureCount(operation), shape.hasPrimary ? 1 : 0);
  if (count > limits.maxOutputs)
    invalid.push({ path: "operations", message: `make ${count} files; at most ${limits.maxOutputs} are allowed` });
}

const pictureCount = (operation: SideFile["operation"]): number =>
  operation.type !== "thumbnail"
    ? 1
    : operation.mode === "sprite"
      ? 2
      : operation.mode === "multiple"
        ? (operation.count ?? 1)
        : 1;

function requireAbility(ability: Ability | undefined, path: string, what: string, unsupported: ErrorDetail[]): void {
  if (ability?.ok === false)
    unsupported.push({ path, message: `needs ${what}, which does not work here: ${ability.reason}` });
}

function requireEncoders(
  shape: Shape,
  video: VideoChoice,
  audio: AudioChoice,
  capabilities: Capabilities,
  unsupported: ErrorDetail[],
): void {
  const at = (field: string): string => {
    if (shape.transcode?.operation[field as "video_codec"] !== undefined)
      return `operations[${shape.transcode.index}].${field}`;
    return "output_path";
  };
  const require = (names: readonly string[], path: string, what: string): void => {
    requireAbility(chooseEncoder(names, capabilities).ability, path, what, unsupported);
  };
  const card = shape.transcode === null ? null : namedHardware(shape.transcode.operation);
  if (card !== null && video !== null) {
    const chosen = chooseHardware(card, video, capabilities);
    if ("why" in chosen)
      unsupported.push({ path: at("hardware_acceleration"), message: `does not work here: ${chosen.why}` });
  } else if (shape.hasPrimary && video !== null && video !== "copy" && video !== "none") {
    require(videoEncoder(video).encoders, at("video_codec"), `an encoder for ${video}`);
  }
  if (shape.hasPrimary && audio !== null && audio !== "copy" && audio !== "none") {
    require([audioEncoder(audio).encoder], at("audio_codec"), `an encoder for ${audio}`);
  }
  for (const { index, container, operation } of shape.sides) {
    const path = `operations[${index}].type`;
    const [picture] = container.video.encodes;
    const [sound] = container.audio.encodes;
    if (operation.type !== "audio" && picture !== undefined)
      require(videoEncoder(picture).encoders, path, `an encoder for ${picture}`);
    if (operation.type === "audio" && sound !== undefined)
      require([audioEncoder(sound).encoder], path, `an encoder for ${sound}`);
  }
}

function filtersOf(operation: Operation, container: Container | undefined): readonly string[] {
  if (operation.type === "filter") return FILTERS_OF[operation.name];
  if (operation.type === "concat" && operation.transition === "fade")
    return [...(FILTERS.concat ?? []), "xfade", "acrossfade"];
  // A track is put beside the picture; nothing is drawn.
  if (operation.type === "subtitle" && operation.mode === "embed") return [];
  const filters = FILTERS[operation.type] ?? [];
  if (operation.type === "waveform") return container?.name === "json" ? ["aresample"] : ["showwavespic"];
  return operation.type === "audio" && operation.normalize ? [...filters, "loudnorm"] : filters;
}

function checkAbilities(
  { operations }: CheckRequest,
  shape: Shape,
  capabilities: Capabilities,
  unsupported: ErrorDetail[],
): void {
  operations.forEach((operation, index) => {
    const container = shape.sides.find((side) => side.index === index)?.container;
    for (const name of filtersOf(operation, container)) {
      requireAbility(capabilities.filters[name], `operations[${index}].type`, `the filter ${name}`, unsupported);
    }
  });
  const containers = [...(shape.hasPrimary ? [shape.container] : []), ...shape.sides.map(({ container }) => container)];
  for (const { muxer, name } of new Set(containers)) {
    requireAbility(capabilities.muxers[muxer], "output_path", `the container ${name}`, unsupported);
  }
}

/** Null for the shape when there is something invalid. */
export function findProblems(request: CheckRequest): Problems & { readonly shape: Shape | null } {
  const { operations, limits, capabilities } = request;
  const invalid: ErrorDetail[] = [];
  const unsupported: ErrorDetail[] = [];
  if (operations.length > limits.maxOperations) {
    invalid.push({
      path: "operations",
      message: `holds ${operations.length} operations; at most ${limits.maxOperations} are allowed`,
    });
  }
  const analysis = analysisOf(operations);
  if (analysis !== null) {
    const index = operations.indexOf(analysis);
    if (operations.length > 1)
      invalid.push({ path: `operations[${index}].type`, message: "stands alone: an analysis changes nothing" });
    if (!/\.json$/i.test(request.outputName))
      invalid.push({ path: "output_path", message: "is the report's name and ends in .json" });
    const wantsVmaf = analysis.metrics.some((one) => one === "vmaf" || one === "ms_ssim");
    const vmaf = wantsVmaf && capabilities !== null ? vmafProblem(capabilities.vmaf, analysis.vmaf_model) : null;
    if (vmaf !== null)
      unsupported.push({
        path: `operations[${index}].${vmaf.isOfModel ? "vmaf_model" : "metrics"}`,
        message: vmaf.message,
      });
    return { invalid, unsupported, shape: null };
  }
  const stream = streamOf(operations);
  if (stream !== null) {
    const found = checkStreamPlan(request, stream);
    const prefix = `operations[${operations.indexOf(stream)}].`;
    const full = ({ path, message }: ErrorDetail): ErrorDetail => ({
      path: /^(operations|options)/.test(path) ? path : `${prefix}${path}`,
      message,
    });
    const all = { invalid: [...invalid, ...found.invalid.map(full)], unsupported: found.unsupported.map(full) };
    checkQuality(request, null, all);
    return { ...all, shape: null };
  }
  checkRawAllowed(operations, limits, { invalid, unsupported });
  const shape = toShape(request, invalid);
  operations.forEach((operation, index) => {
    checkSizes(operation, index, limits, invalid);
  });
  if (shape === null) return { invalid, unsupported, shape };
  const transcode = shape.transcode?.operation ?? null;
  const video = videoChoice(transcode, shape.container);
  const audio = audioChoice(transcode, shape.container);
  if (shape.transcode !== null && shape.hasPrimary) {
    const { index, operation } = shape.transcode;
    const at = (field: string, message: string) => invalid.push({ path: `operations[${index}].${field}`, message });
    checkTranscode({ transcode: operation, container: shape.container, limits, at });
  }
  if (shape.hasPrimary) checkAgainstCopy(request, shape, video, audio, invalid);
  checkConcat(operations, shape.hasPrimary, { video, audio }, invalid);
  checkRaw(operations, shape, { video, audio }, { invalid, unsupported });
  for (const side of shape.sides) checkSide(side, invalid);
  checkNames(shape, request.outputName, limits, invalid);
  checkQuality(request, shape, { invalid, unsupported });
  if (capabilities !== null) {
    requireEncoders(shape, video, audio, capabilities, unsupported);
    checkAbilities(request, shape, capabilities, unsupported);
  }
  return { invalid, unsupported, shape: invalid.length > 0 ? null : shape };
}

/** Throws `request.invalid` or `request.unsupported` with every problem as a detail. */
export function checkOperations(request: CheckRequest): void {
  const { invalid, unsupported } = findProblems(request);
  if (invalid.length > 0) throw invalidRequest([...invalid, ...unsupported]);
  if (unsupported.length > 0) throw unsupportedRequest(unsupported);
}

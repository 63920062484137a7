/** (distorted, reference, metrics) → steps that measure, what is read of each, and the logs that the report is made of. */
import { type Chain, type Filter, filter, printGraph } from "../filtergraph.ts";
import { opening } from "../plan/inputs.ts";
import { invalidPlan, unsupportedPlan } from "../plan/refuse.ts";
import type {
  Arg,
  AudioStream,
  Capabilities,
  Finding,
  FrameLog,
  MediaInfo,
  MediaLimits,
  PlanInput,
  PlanStep,
  VideoStream,
} from "../types.ts";
import { align } from "./align.ts";
import { COMPARING, LISTENING, LOOKING, type Metric, type VmafModel } from "./metrics.ts";

/** A part of the reference, where the distorted file holds only that. */
export interface Part {
  readonly startSeconds: number;
  readonly durationSeconds: number;
}

export interface MeasureRequest {
  readonly distorted: PlanInput;
  readonly reference: PlanInput | null;
  readonly referencePart?: Part;
  readonly metrics: readonly Metric[];
  readonly vmafModel: VmafModel;
  readonly subsample: number;
  /** Folder of the logs, relative to the work folder. */
  readonly folder: string;
  /** From what length on black, freezes and silence count. */
  readonly minSeconds?: number;
  readonly capabilities: Capabilities;
  readonly limits: MediaLimits;
  readonly threads: number;
}

export interface MeasurePlan {
  readonly steps: readonly PlanStep[];
  readonly logs: readonly FrameLog[];
}

/** What counts as black, frozen, silent, a new scene: FFmpeg's own thresholds, which its documentation describes. */
const MIN_SECONDS = { blackdetect: 0.1, freezedetect: 2, silence: 0.5 } as const;
const BLACK_PIXEL = 0.1;
const FREEZE_NOISE = 0.001;
const SILENCE_DB = "-60dB";
const SCENE_THRESHOLD = 10;
/** Five scales of an eleven-pixel window. */
const MS_SSIM_PIXELS_MIN = 176;

/** Logs are text: a line a frame, of a few hundred bytes. */
const LOG_BYTES_PER_SECOND = 100_000;
const LOG_BYTES = 50e6;
const MB = 1_000_000;
const VMAF_MEGAPIXELS_MAX = 24;

interface Branch {
  readonly chain: Chain;
  readonly findings: readonly Finding[];
  readonly logs: readonly FrameLog[];
  readonly writes: readonly string[];
}

const mainVideo = ({ streams }: MediaInfo): VideoStream | undefined =>
  streams.find((one): one is VideoStream => one.kind === "video" && !one.attachedPicture);
const mainAudio = ({ streams }: MediaInfo): AudioStream | undefined =>
  streams.find((one): one is AudioStream => one.kind === "audio" && one.channels > 0);

function printing(kind: "metadata" | "ametadata", file: string, key?: string): Filter {
  return filter(kind, { mode: "print", ...(key === undefined ? {} : { key }), file });
}

/** One filter that looks or listens, whose metadata goes to a file. */
function detector(request: MeasureRequest, metric: Metric, pad: string, endSeconds: number): Branch {
  const file = `${request.folder}/${metric}.txt`;
  const minSeconds = request.minSeconds ?? 0;
  const branch = (filters: readonly Filter[], finding: Finding, logs: readonly FrameLog[] = []): Branch => ({
    chain: { inputs: [pad], filters, outputs: [metric] },
    ...{ findings: [finding], logs, writes: [file] },
  });
  const intervals = (shortest: number): Finding => ({
    ...{ name: metric, kind: "intervals", file, endSeconds },
    minSeconds: Math.max(minSeconds, shortest),
  });
  switch (metric) {
    case "blackdetect":
      return branch(
        [filter("blackdetect", { d: MIN_SECONDS.blackdetect, pix_th: BLACK_PIXEL }), printing("metadata", file)],
        intervals(MIN_SECONDS.blackdetect),
      );
    case "freezedetect":
      return branch(
        [filter("freezedetect", { n: FREEZE_NOISE, d: MIN_SECONDS.freezedetect }), printing("metadata", file)],
        intervals(MIN_SECONDS.freezedetect),
      );
    case "scenes":
      return branch([filter("scdet", { t: SCENE_THRESHOLD }), printing("metadata", file, "lavfi.scd.time")], {
        ...{ name: metric, kind: "instants", file },
      });
    case "silence":
      return branch(
        [filter("silencedetect", { n: SILENCE_DB, d: MIN_SECONDS.silence }), printing("ametadata", file)],
        intervals(MIN_SECONDS.silence),
      );
    default:
      return branch(
        [
          filter("ebur128", { peak: "true", framelog: "verbose", metadata: 1 }),
          printing("ametadata", file, "lavfi.r128.M"),
        ],
        { name: metric, kind: "loudness", file: null },
        [{ kind: "moments", file }],
      );
  }
}

function vmafFilter(request: MeasureRequest, file: string): Filter {
  const { metrics, vmafModel, subsample, capabilities } = request;
  const similarity = metrics.includes("ms_ssim");
  const common = { log_path: file, log_fmt: "xml", n_threads: vmafThreads(request), n_subsample: subsample };
  if (capabilities.vmaf?.ok === true && capabilities.vmaf.options === "old") {
    return filter("libvmaf", {
      ...{ model_path: `/usr/share/model/${vmafModel}.json`, ...common },
      ...(similarity ? { ms_ssim: 1 } : {}),
    });
  }
  return filter("libvmaf", {
    ...{ model: `version=${vmafModel}`, ...common },
    ...(similarity ? { feature: "name=float_ms_ssim" } : {}),
  });
}

/** Two pictures on their way into one filter: labels are the metric's. */
function comparison(
  metric: "vmaf" | "psnr" | "ssim",
  request: MeasureRequest,
  pictures: { readonly distorted: VideoStream; readonly reference: VideoStream },
): { readonly chains: readonly Chain[]; readonly branch: Branch } {
  const { distorted, reference } = pictures;
  const aligned = align(distorted, reference);
  const file = `${request.folder}/${metric}.log`;
  const own = metric === "vmaf" ? vmafFilter(request, file) : filter(metric, { stats_file: file });
  const finding: Finding = { name: metric, kind: metric, file: metric === "vmaf" ? file : null };
  return {
    chains: [
      { inputs: [`0:${distorted.index}`], filters: aligned.distorted, outputs: [`${metric}_d`] },
      { inputs: [`1:${reference.index}`], filters: aligned.reference, outputs: [`${metric}_r`] },
    ],
    branch: {
      chain: { inputs: [`${metric}_d`, `${metric}_r`], filters: [own], outputs: [metric] },
      findings: [finding],
      logs: [{ kind: metric, file }],
      writes: [file],
    },
  };
}

const megapixels = (video: VideoStream | undefined): number =>
  video === undefined ? 0 : (video.width * video.height) / 1e6;

/** Samples of more than eight bits take two bytes. */
const weighed = (video: VideoStream | undefined): number => megapixels(video) * ((video?.bitDepth ?? 8) > 8 ? 2 : 1);

/** Each of libvmaf's threads holds its own floating-point pictures, so that a large picture gets fewer of them. */
function vmafThreads({ reference, threads }: MeasureRequest): number {
  const pixels = reference === null ? 0 : megapixels(mainVideo(reference.media));
  return Math.max(1, Math.min(threads, Math.floor(VMAF_MEGAPIXELS_MAX / Math.max(pixels, 0.1))));
}

/**
 * Address space. Peaks of x264 films from 640x360 to 3840x2160 on 1 and 4 threads, from /proc, lie at half of it: 591 MB for
 * VMAF with MS-SSIM of 1080p on one thread, 1168 MB on four, 411 MB for PSNR. The other half is for decoders that keep
 * sixteen frames back.
 */
function memoryBytes(request: MeasureRequest, comparisons: number, vmaf: boolean): number {
  const { distorted, reference, threads } = request;
  const target = reference === null || comparisons === 0 ? undefined : mainVideo(reference.media);
  const decoded = weighed(mainVideo(distorted.media)) + weighed(target);
  const compared = weighed(target) * (20 * comparisons + (vmaf ? 60 + 85 * vmafThreads(request) : 0));
  return Math.ceil((420 + 45 * threads + 60 * decoded + compared) * 1.25) * MB;
}

const fixed = (seconds: number): string => String(Number(seconds.toFixed(6)));

function stepOf(
  request: MeasureRequest,
  id: string,
  chains: readonly Chain[],
  branches: readonly Branch[],
): Omit<PlanStep, "weight"> {
  const { distorted, reference, referencePart: part, limits, threads } = request;
  const comparisons = branches.filter(({ chain }) => chain.inputs.length > 1).length;
  const vmaf = branches.some(({ findings }) => findings.some(({ kind }) => kind === "vmaf"));
  const filterGraph = printGraph({ chains });
  const { durationSeconds } = distorted.media;
  const input = (one: PlanInput, seek: readonly string[]): Arg[] => [
    ...opening(request, one),
    ...seek,
    "-i",
    { file: one.file },
  ];
  const seek = part === undefined ? [] : ["-ss", fixed(part.startSeconds), "-t", fixed(part.durationSeconds)];
  return {
    id,
    args: [
      // The filters say their sums at this level, when all is done.
      ...["-v", "level+info"],
      ...["-filter_complex_threads", String(threads)],
      ...input(distorted, []),
      ...(comparisons > 0 && reference !== null ? input(reference, seek) : []),
      ...["-filter_complex", filterGraph],
      ...branches.flatMap(({ chain }) => ["-map", `[${chain.outputs[0]}]`]),
      ...["-f", "null", "-"],
    ],
    filterGraph,
    durationSeconds,
    threads,
    memoryBytesMax: memoryBytes(request, comparisons, vmaf),
    fileBytesMax: LOG_BYTES + LOG_BYTES_PER_SECOND * (durationSeconds ?? limits.maxDurationSeconds),
    writes: branches.flatMap(({ writes }) => writes),
    findings: branches.flatMap(({ findings }) => findings),
  };
}

function requireInputs(request: MeasureRequest): void {
  const { metrics, distorted, reference, capabilities } = request;
  const compares = metrics.some((one) => COMPARING.includes(one));
  const pictures = [mainVideo(distorted.media), ...(compares ? [reference && mainVideo(reference.media)] : [])];
  if (metrics.some((one) => LOOKING.includes(one)) && pictures.some((one) => one === undefined || one === null))
    throw invalidPlan("There is no picture to measure in one of the inputs.");
  if (metrics.some((one) => LISTENING.includes(one)) && mainAudio(distorted.media) === undefined)
    throw invalidPlan("There is no sound to measure in the input.");
  const small = pictures.find((one) => one && Math.min(one.width, one.height) < MS_SSIM_PIXELS_MIN);
  const last = pictures.at(-1);
  if (metrics.includes("ms_ssim") && small && last && Math.min(last.width, last.height) < MS_SSIM_PIXELS_MIN)
    throw invalidPlan(
      `MS-SSIM needs pictures of ${MS_SSIM_PIXELS_MIN}x${MS_SSIM_PIXELS_MIN} at least; these are ${last.width}x${last.height}.`,
    );
  if (metrics.some((one) => one === "vmaf" || one === "ms_ssim") && capabilities.vmaf?.ok !== true)
    throw unsupportedPlan(vmafMissing(capabilities));
}

export const vmafMissing = ({ vmaf }: Capabilities): string =>
  `VMAF cannot be measured here: ${vmaf?.ok === false ? vmaf.reason : "this FFmpeg was built without libvmaf"}.`;

/** Throws `plan.invalid` or `plan.unsupported`. */
export function compileMeasure(request: MeasureRequest): MeasurePlan {
  requireInputs(request);
  const { metrics, distorted, reference, capabilities } = request;
  const video = mainVideo(distorted.media);
  const audio = mainAudio(distorted.media);
  const end = distorted.media.durationSeconds ?? 0;
  const own: { chains: readonly Chain[]; branch: Branch }[] = [];
  const elsewhere: { chains: readonly Chain[]; branch: Branch }[] = [];
  const target = reference === null ? undefined : mainVideo(reference.media);
  if (video !== undefined && target !== undefined) {
    const pictures = { distorted: video, reference: target };
    const apart = capabilities.vmaf?.ok === true && capabilities.vmaf.program === "vmaf";
    if (metrics.includes("vmaf") || metrics.includes("ms_ssim"))
      (apart ? elsewhere : own).push(comparison("vmaf", request, pictures));
    for (const metric of ["psnr", "ssim"] as const)
      if (metrics.includes(metric)) own.push(comparison(metric, request, pictures));
  }
  for (const metric of metrics) {
    if (COMPARING.includes(metric)) continue;
    const stream = LISTENING.includes(metric) ? audio : video;
    const branch = detector(request, metric, `0:${stream?.index ?? 0}`, end);
    own.push({ chains: [], branch });
  }
  const steps = [
    ...(own.length === 0 ? [] : [stepFor(request, "measure", own)]),
    ...(elsewhere.length === 0 ? [] : [{ ...stepFor(request, "vmaf", elsewhere), program: "vmaf" as const }]),
  ];
  return {
    steps: steps.map((step) => ({ ...step, weight: 1 / steps.length })),
    logs: [...own, ...elsewhere].flatMap(({ branch }) => branch.logs),
  };
}

function stepFor(
  request: MeasureRequest,
  id: string,
  parts: readonly { readonly chains: readonly Chain[]; readonly branch: Branch }[],
): Omit<PlanStep, "weight"> {
  return stepOf(
    request,
    id,
    parts.flatMap(({ chains, branch }) => [...chains, branch.chain]),
    parts.map(({ branch }) => branch),
  );
}

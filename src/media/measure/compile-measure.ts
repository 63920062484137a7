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
import { oldModelPath, vmafProblem } from "./vmaf-ability.ts";

/** A reference that is made on the way: inputs, counted from 0, and chains that end in `pad`. */
export interface Prepared {
  readonly args: readonly Arg[];
  readonly inputs: number;
  readonly chains: readonly Chain[];
  readonly pad: string;
  readonly video: VideoStream;
  /** Of all that is needed to make it. */
  readonly memoryBytes: number;
}

export interface MeasureRequest {
  readonly distorted: PlanInput;
  readonly reference: PlanInput | null;
  /** Instead of a reference; for a single metric that compares. */
  readonly prepared?: Prepared | null;
  readonly metrics: readonly Metric[];
  readonly vmafModel: VmafModel;
  readonly subsample: number;
  /** Folder of the logs, relative to the work folder. */
  readonly folder: string;
  /** From what length on black, freezes and silence count. */
  readonly minSeconds?: Readonly<Partial<Record<keyof typeof MIN_SECONDS, number | undefined>>>;
  /** Before the names of what is found. */
  readonly findingPrefix?: string;
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
/** Shorter ones are a frame or two, which no filter tells from chance. */
const DETECTED_SECONDS_MIN = 0.05;
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
  /** Both sides of a comparison. */
  readonly before: readonly Chain[];
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
  const name = `${request.findingPrefix ?? ""}${metric}`;
  const branch = (filters: readonly Filter[], finding: Finding, logs: readonly FrameLog[] = []): Branch => ({
    before: [],
    chain: { inputs: [pad], filters, outputs: [metric] },
    ...{ findings: [finding], logs, writes: [file] },
  });
  const intervals = (shortest: number): Finding => ({
    ...{ name, kind: "intervals", file, endSeconds, minSeconds: shortest },
  });
  const least = (kind: keyof typeof MIN_SECONDS): number =>
    Math.max(DETECTED_SECONDS_MIN, request.minSeconds?.[kind] ?? MIN_SECONDS[kind]);
  switch (metric) {
    case "blackdetect":
      return branch(
        [filter("blackdetect", { d: least("blackdetect"), pix_th: BLACK_PIXEL }), printing("metadata", file)],
        intervals(least("blackdetect")),
      );
    case "freezedetect":
      return branch(
        [filter("freezedetect", { n: FREEZE_NOISE, d: least("freezedetect") }), printing("metadata", file)],
        intervals(least("freezedetect")),
      );
    case "scenes":
      return branch([filter("scdet", { t: SCENE_THRESHOLD }), printing("metadata", file, "lavfi.scd.time")], {
        ...{ name, kind: "instants", file },
      });
    case "silence":
      return branch(
        [filter("silencedetect", { n: SILENCE_DB, d: least("silence") }), printing("ametadata", file)],
        intervals(least("silence")),
      );
    default:
      return branch(
        [
          filter("ebur128", { peak: "true", framelog: "verbose", metadata: 1 }),
          printing("ametadata", file, "lavfi.r128.M"),
        ],
        { name, kind: "loudness", file: null },
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
      ...{ model_path: oldModelPath(vmafModel), ...common },
      ...(similarity ? { ms_ssim: 1 } : {}),
    });
  }
  return filter("libvmaf", {
    ...{ model: `version=${vmafModel}`, ...common },
    ...(similarity ? { feature: "name=float_ms_ssim" } : {}),
  });
}

/** Where a step finds the two sides. */
interface Sides {
  readonly args: readonly Arg[];
  /** FFmpeg's number of the distorted file. */
  readonly distorted: number;
  /** Of the reference, its picture; empty where nothing is compared. */
  readonly reference: string;
  readonly chains: readonly Chain[];
}

function sidesOf(request: MeasureRequest, compares: boolean): Sides {
  const { distorted, reference, prepared } = request;
  const input = (one: PlanInput): Arg[] => [...opening(request, one), "-i", { file: one.file }];
  if (!compares) return { args: input(distorted), distorted: 0, reference: "", chains: [] };
  if (prepared != null) {
    const { args, inputs, chains, pad } = prepared;
    return { args: [...args, ...input(distorted)], distorted: inputs, reference: pad, chains };
  }
  const video = reference === null ? undefined : mainVideo(reference.media);
  return {
    args: [...input(distorted), ...(reference === null ? [] : input(reference))],
    ...{ distorted: 0, reference: `1:${video?.index ?? 0}`, chains: [] },
  };
}

const referenceVideo = ({ reference, prepared }: MeasureRequest): VideoStream | undefined =>
  prepared?.video ?? (reference === null ? undefined : mainVideo(reference.media));

/** Two pictures on their way into one filter: labels are the metric's. */
function comparison(metric: "vmaf" | "psnr" | "ssim", request: MeasureRequest, sides: Sides): readonly Branch[] {
  const distorted = mainVideo(request.distorted.media);
  const reference = referenceVideo(request);
  if (distorted === undefined || reference === undefined) return [];
  const aligned = align(distorted, reference);
  const file = `${request.folder}/${metric}.log`;
  const own = metric === "vmaf" ? vmafFilter(request, file) : filter(metric, { stats_file: file });
  const name = `${request.findingPrefix ?? ""}${metric}`;
  return [
    {
      before: [
        { inputs: [`${sides.distorted}:${distorted.index}`], filters: aligned.distorted, outputs: [`${metric}_d`] },
        { inputs: [sides.reference], filters: aligned.reference, outputs: [`${metric}_r`] },
      ],
      chain: { inputs: [`${metric}_d`, `${metric}_r`], filters: [own], outputs: [metric] },
      findings: [{ name, kind: metric, file: metric === "vmaf" ? file : null }],
      logs: [{ kind: metric, file }],
      writes: [file],
    },
  ];
}

const megapixels = (video: VideoStream | undefined): number =>
  video === undefined ? 0 : (video.width * video.height) / 1e6;

/** Samples of more than eight bits take two bytes. */
const weighed = (video: VideoStream | undefined): number => megapixels(video) * ((video?.bitDepth ?? 8) > 8 ? 2 : 1);

/** Each of libvmaf's threads holds its own floating-point pictures, so that a large picture gets fewer of them. */
function vmafThreads(request: MeasureRequest): number {
  const pixels = megapixels(referenceVideo(request));
  return Math.max(1, Math.min(request.threads, Math.floor(VMAF_MEGAPIXELS_MAX / Math.max(pixels, 0.1))));
}

/**
 * Address space. Peaks of x264 films from 640x360 to 3840x2160 on 1 and 4 threads, from /proc, lie at half of it: 591 MB for
 * VMAF with MS-SSIM of 1080p on one thread, 1168 MB on four, 411 MB for PSNR. The other half is for decoders that keep
 * sixteen frames back.
 */
function memoryBytes(request: MeasureRequest, comparisons: number, vmaf: boolean): number {
  const { distorted, prepared, threads } = request;
  const target = comparisons === 0 ? undefined : referenceVideo(request);
  const decoded = weighed(mainVideo(distorted.media)) + weighed(target);
  const compared = weighed(target) * (20 * comparisons + (vmaf ? 60 + 85 * vmafThreads(request) : 0));
  const made = comparisons === 0 ? 0 : (prepared?.memoryBytes ?? 0);
  return Math.ceil((420 + 45 * threads + 60 * decoded + compared) * 1.25) * MB + made;
}

type Step = Omit<PlanStep, "weight">;

function stepOf(request: MeasureRequest, id: string, sides: Sides, branches: readonly Branch[]): Step {
  const { distorted, limits, threads } = request;
  const comparisons = branches.filter(({ before }) => before.length > 0).length;
  const vmaf = branches.some(({ findings }) => findings.some(({ kind }) => kind === "vmaf"));
  const chains = [...sides.chains, ...branches.flatMap(({ before, chain }) => [...before, chain])];
  const filterGraph = printGraph({ chains });
  const { durationSeconds } = distorted.media;
  return {
    id,
    args: [
      // The filters say their sums at this level, when all is done.
      ...["-v", "level+info"],
      ...["-filter_complex_threads", String(threads)],
      ...sides.args,
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
  const { metrics, vmafModel, distorted, capabilities } = request;
  const compares = metrics.some((one) => COMPARING.includes(one));
  const pictures = [mainVideo(distorted.media), ...(compares ? [referenceVideo(request)] : [])];
  if (metrics.some((one) => LOOKING.includes(one)) && pictures.includes(undefined))
    throw invalidPlan("There is no picture to measure in one of the inputs.");
  if (metrics.some((one) => LISTENING.includes(one)) && mainAudio(distorted.media) === undefined)
    throw invalidPlan("There is no sound to measure in the input.");
  const small = pictures.find((one) => one && Math.min(one.width, one.height) < MS_SSIM_PIXELS_MIN);
  const last = pictures.at(-1);
  if (metrics.includes("ms_ssim") && small && last && Math.min(last.width, last.height) < MS_SSIM_PIXELS_MIN)
    throw invalidPlan(
      `MS-SSIM needs pictures of ${MS_SSIM_PIXELS_MIN}x${MS_SSIM_PIXELS_MIN} at least; these are ${last.width}x${last.height}.`,
    );
  const vmaf = metrics.some((one) => one === "vmaf" || one === "ms_ssim")
    ? vmafProblem(capabilities.vmaf, vmafModel)
    : null;
  if (vmaf !== null) throw unsupportedPlan(vmaf.message);
}

/** The branches of the metrics that one step measures. */
function branchesOf(request: MeasureRequest, metrics: readonly Metric[], sides: Sides): Branch[] {
  const { media } = request.distorted;
  const [video, audio] = [mainVideo(media), mainAudio(media)];
  const both = metrics.includes("vmaf") || metrics.includes("ms_ssim");
  const compared = (["psnr", "ssim"] as const).filter((metric) => metrics.includes(metric));
  const comparing = [...(both ? (["vmaf"] as const) : []), ...compared];
  return [
    ...comparing.flatMap((metric) => comparison(metric, request, sides)),
    ...metrics
      .filter((metric) => !COMPARING.includes(metric))
      .map((metric) => {
        const stream = LISTENING.includes(metric) ? audio : video;
        return detector(request, metric, `${sides.distorted}:${stream?.index ?? 0}`, media.durationSeconds ?? 0);
      }),
  ];
}

/** Throws `plan.invalid` or `plan.unsupported`. */
export function compileMeasure(request: MeasureRequest): MeasurePlan {
  requireInputs(request);
  const { vmaf } = request.capabilities;
  const isElsewhere = (metric: Metric): boolean =>
    vmaf?.ok === true && vmaf.program === "vmaf" && (metric === "vmaf" || metric === "ms_ssim");
  const groups = [
    { id: "measure", metrics: request.metrics.filter((metric) => !isElsewhere(metric)) },
    { id: "vmaf", metrics: request.metrics.filter(isElsewhere), program: "vmaf" as const },
  ].filter(({ metrics }) => metrics.length > 0);
  const parts = groups.map(({ id, metrics, ...program }) => {
    const sides = sidesOf(
      request,
      metrics.some((one) => COMPARING.includes(one)),
    );
    const branches = branchesOf(request, metrics, sides);
    return { step: { ...stepOf(request, id, sides, branches), ...program, weight: 1 / groups.length }, branches };
  });
  return {
    steps: parts.map(({ step }) => step),
    logs: parts.flatMap(({ branches }) => branches.flatMap(({ logs }) => logs)),
  };
}

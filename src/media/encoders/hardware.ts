/** Encoders in graphics cards: which there are for a codec, and how each is told a quality or a rate. */
import type { VideoCodec } from "../operations/transcode.schema.ts";
import type { Capabilities } from "../types.ts";
import { type EncoderArg, optional, rateArgs, type VideoEncoder, type VideoSettings } from "./video-encoder.ts";

/** In the order in which `auto` tries them. */
export const ACCELERATORS = ["nvenc", "qsv", "amf", "vaapi", "videotoolbox"] as const;
export type Accelerator = (typeof ACCELERATORS)[number];

export interface Hardware {
  readonly accelerator: Accelerator;
  /** FFmpeg's encoders by our name of the codec. */
  readonly encoders: Readonly<Partial<Record<VideoCodec, string>>>;
  /** What pictures are brought to before they go to the card. */
  readonly pixelFormat: string;
  /** They are put into the card's memory by a filter. */
  readonly uploads: boolean;
  /** Before the inputs. */
  readonly head: readonly string[];
  /** What of the machine the program has to see; those that are missing are left out. */
  readonly devices: readonly string[];
  quality(crf: number): readonly string[];
}

const RENDER_NODE = "/dev/dri/renderD128";
/** How libdrm finds out what a device is. */
const GRAPHICS = ["/dev/dri", "/sys/dev/char", "/sys/devices"];
const NVIDIA = [
  ...["/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/dxg"],
];

const TABLE: Readonly<Record<Accelerator, Hardware>> = {
  nvenc: {
    accelerator: "nvenc",
    encoders: { h264: "h264_nvenc", h265: "hevc_nvenc", av1: "av1_nvenc" },
    ...{ pixelFormat: "yuv420p", uploads: false, head: [], devices: NVIDIA },
    quality: (crf) => ["-rc:v:0", "vbr", "-cq:v:0", String(crf), "-b:v:0", "0"],
  },
  qsv: {
    accelerator: "qsv",
    encoders: { h264: "h264_qsv", h265: "hevc_qsv", av1: "av1_qsv", vp9: "vp9_qsv" },
    ...{ pixelFormat: "nv12", uploads: false, head: [], devices: GRAPHICS },
    quality: (crf) => ["-global_quality:v:0", String(Math.round(crf))],
  },
  amf: {
    accelerator: "amf",
    encoders: { h264: "h264_amf", h265: "hevc_amf", av1: "av1_amf" },
    ...{ pixelFormat: "nv12", uploads: false, head: [], devices: GRAPHICS },
    quality: (crf) => {
      const qp = String(Math.round(crf));
      return ["-rc:v:0", "cqp", "-qp_i:v:0", qp, "-qp_p:v:0", qp];
    },
  },
  vaapi: {
    accelerator: "vaapi",
    encoders: { h264: "h264_vaapi", h265: "hevc_vaapi", av1: "av1_vaapi", vp9: "vp9_vaapi" },
    ...{ pixelFormat: "nv12", uploads: true, head: ["-vaapi_device", RENDER_NODE], devices: GRAPHICS },
    quality: (crf) => ["-rc_mode:v:0", "CQP", "-qp:v:0", String(Math.round(crf))],
  },
  videotoolbox: {
    accelerator: "videotoolbox",
    encoders: { h264: "h264_videotoolbox", h265: "hevc_videotoolbox" },
    ...{ pixelFormat: "nv12", uploads: false, head: [], devices: [] },
    // It counts from 1 to 100, and upwards.
    quality: (crf) => ["-q:v:0", String(Math.max(1, Math.min(100, Math.round(100 - crf * 1.6))))],
  },
};

export const hardware = (accelerator: Accelerator): Hardware => TABLE[accelerator];

/** Parameters of a software encoder, which no card takes in the same words. */
export const SOFTWARE_FIELDS = ["preset", "tune", "profile", "level", "pixel_format", "b_frames"] as const;

export type HardwareChoice = { readonly use: Hardware; readonly name: string } | { readonly why: string };

/** The named accelerator, or with `auto` the first that works; otherwise why none does. */
export function chooseHardware(
  wanted: Accelerator | "auto",
  codec: string,
  capabilities: Capabilities,
): HardwareChoice {
  const reasons: string[] = [];
  for (const accelerator of wanted === "auto" ? ACCELERATORS : [wanted]) {
    const use = TABLE[accelerator];
    const name = use.encoders[codec as VideoCodec];
    if (name === undefined) {
      reasons.push(`${accelerator} does not encode ${codec}`);
      continue;
    }
    const ability = capabilities.encoders[name];
    if (ability?.ok === true) return { use, name };
    reasons.push(`${accelerator}: ${ability === undefined ? `this FFmpeg was built without ${name}` : ability.reason}`);
  }
  return { why: reasons.join("; ") };
}

function args({ quality }: Hardware, settings: VideoSettings): EncoderArg[] {
  return [
    ...(settings.bitrate === null && settings.crf !== null ? quality(settings.crf) : []),
    ...rateArgs(settings),
    ...optional([["-g:v:0", settings.gopSize]]),
  ];
}

/** `software` with the card's words; its driver's memory is not counted in address space. */
export const onHardware = (software: VideoEncoder, use: Hardware): VideoEncoder => ({
  ...software,
  twoPass: false,
  // Below it, cards refuse.
  sizeMin: Object.fromEntries(Object.values(use.encoders).map((name) => [name, [160, 64]])),
  memory: { ...software.memory, baseMb: software.memory.baseMb + 300 },
  args: (settings) => args(use, settings),
});

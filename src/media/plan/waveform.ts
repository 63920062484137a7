/** The sound as a picture, or as the lowest and highest sample of each part. */

import { containerNamed } from "../containers.ts";
import { videoEncoder } from "../encoders/registry.ts";
import { type Filter, filter } from "../filtergraph.ts";
import type { SideFile } from "../operations/shape.ts";
import type { Waveform } from "../operations/waveform.schema.ts";
import type { AudioStream, Content, Expectation, PlannedOutput } from "../types.ts";
import type { PlanContext } from "./context.ts";
import { NO_MEDIA } from "./expect.ts";
import { type GraphContext, type OutputArgs, type OutputDraft, workFile } from "./output.ts";
import { soundPreparations } from "./preparation.ts";
import { invalidPlan } from "./refuse.ts";
import { fileBytes, heldMemory, TRACK_MEMORY } from "./resources.ts";
import { soundWay, wishesOf } from "./sound.ts";
import { cutSound, lengthOf, type Window, windowOf } from "./timeline.ts";

const WIDTH = 1_200;
const HEIGHT = 240;
const LONG_SECONDS = 4 * 3_600;
/** One picture needs no more; all of them are held until the end is known. */
const rateOf = (seconds: number): number => (seconds > LONG_SECONDS ? 2_000 : 8_000);

interface Heard {
  readonly stream: AudioStream;
  readonly window: Window;
  readonly filters: readonly Filter[];
  readonly preparations: ReturnType<typeof soundPreparations>;
}

/** The first track, as the operations before left it. */
function heardBy(context: PlanContext, { index }: SideFile, id: number): Heard {
  const { source, capabilities } = context;
  const earlier = context.operations.slice(0, index).filter(({ type }) => type !== "transcode");
  const wishes = wishesOf(earlier, source.durationSeconds);
  const [stream] = source.audio;
  const path = `operations[${index}]`;
  if (stream === undefined) throw invalidPlan("The input has no sound to draw.", path);
  if (wishes.removed) throw invalidPlan("The sound was removed before it is to be drawn.", path);
  const container = containerNamed("wav");
  if (container === null) throw new Error("There is no container for plain samples.");
  const name = `sound-${id}-0`;
  const way = soundWay({ stream, container, choice: "pcm_s16le", wishes, exact: true, capabilities, name });
  const { window } = windowOf(earlier, source.durationSeconds);
  const filters = way.kind === "encode" ? way.filters : [];
  return { stream, window, filters, preparations: soundPreparations([{ stream, way }], window) };
}

const still = (width: number, height: number): Expectation => ({
  ...{ ...NO_MEDIA, demuxers: ["png_pipe"], still: true },
  video: [{ codec: "png", width, height, fps: null }],
});

export function draftWaveform(
  context: PlanContext,
  side: SideFile & { readonly operation: Waveform },
  id: number,
): OutputDraft {
  const { operation, container } = side;
  const { width = WIDTH, height = HEIGHT, color = "white" } = operation;
  const { source, limits } = context;
  const { stream, window, filters, preparations } = heardBy(context, side, id);
  const rate = windowOf(context.operations.slice(0, side.index), source.durationSeconds).rate;
  const seconds = lengthOf(window, source.durationSeconds, rate);
  const sampleRate = rateOf(seconds ?? limits.maxDurationSeconds);
  const held = sampleRate * 4 * (seconds ?? LONG_SECONDS);
  const json = container.name === "json";
  const samples = `out/${id}.pcm`;
  const file = json ? `out/${id}.json` : workFile(id, container);
  const plain = [
    filter("aresample", { osr: sampleRate }),
    filter("aformat", { sample_fmts: "s16", channel_layouts: "mono" }),
  ];
  const drawn = [
    filter("showwavespic", { s: `${width}x${height}`, colors: color }),
    filter("format", { pix_fmts: "rgba" }),
  ];
  const content: Content = { kind: "peaks", from: samples, sampleRate, parts: width };
  const output: PlannedOutput = {
    ...{ role: "waveform", file, name: side.name, mediaType: container.mediaType },
    expect: json ? NO_MEDIA : still(width, height),
    ...(json ? { content } : {}),
  };
  const build = ({ seekSeconds, input }: GraphContext): OutputArgs => ({
    chains: [
      {
        inputs: [`${input}:${stream.index}`],
        filters: [...cutSound(window, seekSeconds, stream.sampleRate), ...filters, ...plain, ...(json ? [] : drawn)],
        outputs: [`w${id}`],
      },
    ],
    args: json
      ? ["-map", `[w${id}]`, "-c:a:0", "pcm_s16le", "-f", "s16le", { file: samples }]
      : [
          "-map",
          `[w${id}]`,
          "-c:v:0",
          "png",
          "-frames:v:0",
          "1",
          "-map_metadata",
          "-1",
          "-f",
          container.muxer,
          { file },
        ],
  });
  const bytes = json ? held + width * 32 : fileBytes(width * height * 33, 1);
  return {
    ...{ id, container, window, seek: "free", keyframesOnly: false, durationSeconds: seconds },
    memory: [
      TRACK_MEMORY,
      ...(json ? [] : heldMemory(held)),
      { model: videoEncoder("png").memory, megapixels: (width * height) / 1e6 },
    ],
    ...{ bytesMax: bytes * 1.1, bytesLikely: bytes, files: [output], warnings: [], copies: false, twoPass: false },
    ...preparations,
    // What it prints of its loudness is of no file.
    measures: preparations.measures.map((measure) => ({ ...measure, when: "again" as const })),
    build,
  };
}

/**
 * What an encoder is given: the input after all operations, as the reference that its output is compared with. The graph is
 * the encode's own without its encoder, so that a crop or a watermark counts as no loss.
 */
import type { Prepared } from "../measure/compile-measure.ts";
import type { PlanInput, VideoStream } from "../types.ts";
import type { PlanContext } from "./context.ts";
import { furtherInputs, inputArgs, megapixelsOf } from "./inputs.ts";
import type { OutputDraft } from "./output.ts";
import { heldMemory, memoryBytesMax } from "./resources.ts";
import { joinedBefore, joinMemory } from "./steps.ts";
import { seekFor } from "./timeline.ts";

/** Null: the draft has no film whose frames could be compared one by one. */
export function givenTo(context: PlanContext, draft: OutputDraft): Prepared | null {
  const { given } = draft;
  if (given === undefined) return null;
  const { joined, source, threads } = context;
  const seekSeconds = joined === null ? seekFor([draft.window], source.seeksExactly) : joined.reading.seekSeconds;
  const built = (inputOf: (planInput: number) => number) =>
    joinedBefore(context, given.chains({ seekSeconds, input: 0, inputOf }), inputOf);
  const further = furtherInputs(
    context,
    built(() => 0),
    joined?.uses,
  );
  const reading = joined?.reading ?? { windows: [draft.window], seekSeconds, keyframesOnly: false };
  return {
    args: [...inputArgs(context, reading), ...further.args],
    inputs: 1 + further.count,
    chains: further.unfold(built(further.inputOf)),
    pad: given.pad,
    video: given.video,
    memoryBytes: memoryBytesMax(
      [...heldMemory(given.heldBytes), ...joinMemory(context)],
      megapixelsOf(source.input) + further.megapixels,
      threads,
    ),
  };
}

const STREAM = {
  ...{ profile: null, bitrate: null, durationSeconds: null, startSeconds: 0, language: null, title: null },
  isDefault: true,
};

/** The draft's first file as it will be probed, as far as it is planned. */
export function madeOf(draft: OutputDraft): PlanInput {
  const [file] = draft.files;
  const { container, durationSeconds, given } = draft;
  const videos = file?.expect.video.length ?? 0;
  const sound = file?.expect.audio[0];
  const video: VideoStream[] = given === undefined ? [] : [given.video];
  return {
    file: file?.file ?? "",
    media: {
      ...{ demuxers: container.demuxers, container: container.name, sizeBytes: null, durationSeconds },
      ...{ startSeconds: 0, bitrate: null, tags: {}, chapters: 0, warnings: [] },
      streams: [
        ...video,
        ...(sound === undefined
          ? []
          : [
              {
                ...{
                  ...STREAM,
                  kind: "audio" as const,
                  index: Math.min(videos, given?.films ?? 0),
                  codec: sound.codec,
                },
                ...{ sampleRate: sound.sampleRate ?? 0, channels: sound.channels ?? 1 },
                ...{ channelLayout: null, sampleFormat: null },
              },
            ]),
      ],
    },
  };
}

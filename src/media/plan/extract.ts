/** The sound of the film as a file of its own. */
import type { Audio } from "../operations/audio.schema.ts";
import type { SideFile } from "../operations/shape.ts";
import type { PlanContext } from "./context.ts";
import { isGuessed, toleranceSeconds } from "./expect.ts";
import { type GraphContext, type OutputArgs, type OutputDraft, workFile } from "./output.ts";
import { invalidPlan } from "./refuse.ts";
import { copiedBytes, fileBytes, TRACK_MEMORY } from "./resources.ts";
import { type SoundWishes, wishesOf } from "./sound.ts";
import { bitsOf, expectedAudio, soundOf, soundPart, type Track } from "./sound-part.ts";
import { muxerArgs, soundTagArgs, tagArgs } from "./tags.ts";
import { lengthOf, type Window, windowOf } from "./timeline.ts";

/** What came before it, a transcode apart, and what it asks for itself. */
function wishesFor(context: PlanContext, { operation, index }: SideFile & { readonly operation: Audio }): SoundWishes {
  const earlier = wishesOf(context.operations.slice(0, index).filter(({ type }) => type !== "transcode"));
  return {
    ...earlier,
    volume: earlier.volume * (operation.volume ?? 1),
    channels: operation.channels ?? earlier.channels,
    sampleRate: operation.sample_rate ?? earlier.sampleRate,
  };
}

interface Assembly {
  readonly tracks: readonly Track[];
  readonly id: number;
  readonly window: Window;
  readonly stop: readonly string[];
}

function build({ options }: PlanContext, { container }: SideFile, assembly: Assembly, graph: GraphContext): OutputArgs {
  const { tracks, id, window, stop } = assembly;
  const part = soundPart(tracks, id, window, graph, (stream, n) => soundTagArgs(stream, n, options));
  const file = { file: workFile(id, container) };
  return {
    chains: part.chains,
    args: [...part.args, ...stop, ...tagArgs(options), ...muxerArgs(container, options), file],
  };
}

/** A copied stream has no filter that ends it. */
function stopArgs({ start, end }: OutputDraft["window"]): string[] {
  return end === null ? [] : ["-t", String(Number((end - start).toFixed(6)))];
}

export function draftExtract(
  context: PlanContext,
  side: SideFile & { readonly operation: Audio },
  id: number,
): OutputDraft {
  const { source, operations } = context;
  const { container, index } = side;
  const wishes = wishesFor(context, side);
  if (source.audio.length === 0) throw invalidPlan("The input has no sound to extract.", `operations[${index}]`);
  if (wishes.removed) throw invalidPlan("The sound was removed before it is to be extracted.", `operations[${index}]`);
  const { window, exact, trimmed } = windowOf(operations.slice(0, index), source.durationSeconds);
  const sound = soundOf(context, { container, choice: null, wishes, exact, single: true });
  const seconds = lengthOf(window, source.durationSeconds);
  const copies = sound.tracks.every(({ way }) => way.kind === "copy");
  const bytes = copies
    ? copiedBytes(source.media.sizeBytes ?? 0, seconds ?? 0)
    : fileBytes(bitsOf(sound.tracks), seconds ?? Math.min(context.limits.maxDurationSeconds, 3_600));
  const stop = copies && trimmed ? stopArgs(window) : [];
  return {
    id,
    container,
    window,
    seek: copies && trimmed ? "start" : "free",
    keyframesOnly: false,
    durationSeconds: seconds,
    memory: copies ? [] : [TRACK_MEMORY],
    bytesMax: bytes * 2,
    bytesLikely: bytes,
    files: [
      {
        role: "audio",
        file: workFile(id, container),
        name: side.name,
        mediaType: container.mediaType,
        expect: {
          demuxers: container.demuxers,
          durationSeconds: seconds,
          durationToleranceSeconds: toleranceSeconds({
            source,
            durationSeconds: seconds,
            fps: null,
            fromKeyframe: false,
            guessed: isGuessed(container.name),
            startSeconds: window.start,
            subtitlesCut: false,
          }),
          video: [],
          audio: sound.tracks.map(expectedAudio),
          subtitles: 0,
          still: false,
        },
      },
    ],
    warnings: sound.warnings,
    copies,
    twoPass: false,
    build: (graph) => build(context, side, { tracks: sound.tracks, id, window, stop }, graph),
  };
}

/** The sound of the film as a file of its own. */
import type { Audio } from "../operations/audio.schema.ts";
import type { SideFile } from "../operations/shape.ts";
import type { PlanContext } from "./context.ts";
import { isGuessed, toleranceSeconds } from "./expect.ts";
import { type GraphContext, type OutputArgs, type OutputDraft, workFile } from "./output.ts";
import { soundPreparations } from "./preparation.ts";
import { invalidPlan } from "./refuse.ts";
import { copiedBytes, fileBytes, heldMemory, TRACK_MEMORY } from "./resources.ts";
import { type SoundWishes, wishesOf, withAudio } from "./sound.ts";
import { bitsOf, expectedAudio, heldBytesOf, soundOf, soundPart, type Track } from "./sound-part.ts";
import { muxerArgs, soundTagArgs, tagArgs } from "./tags.ts";
import { lengthOf, type Window, windowOf } from "./timeline.ts";

/** What came before it, a transcode apart, and what it asks for itself. */
function wishesFor(context: PlanContext, { operation, index }: SideFile & { readonly operation: Audio }): SoundWishes {
  const earlier = context.operations.slice(0, index).filter(({ type }) => type !== "transcode");
  return withAudio(wishesOf(earlier, context.source.durationSeconds), operation);
}

interface Assembly {
  readonly tracks: readonly Track[];
  readonly id: number;
  readonly window: Window;
  readonly stop: readonly string[];
  readonly retimed: boolean;
}

function build({ options }: PlanContext, { container }: SideFile, assembly: Assembly, graph: GraphContext): OutputArgs {
  const { tracks, id, window, stop, retimed } = assembly;
  const part = soundPart(tracks, id, window, graph, (stream, n) => soundTagArgs(stream, n, options));
  const file = { file: workFile(id, container) };
  return {
    chains: part.chains,
    args: [...part.args, ...stop, ...tagArgs(options, retimed), ...muxerArgs(container, options), file],
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
  const { window, exact, trimmed, rate, retimed } = windowOf(operations.slice(0, index), source.durationSeconds);
  const sound = soundOf(context, { container, choice: null, wishes, exact, single: true, id });
  const seconds = lengthOf(window, source.durationSeconds, rate);
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
    memory: copies ? [] : [TRACK_MEMORY, ...heldMemory(heldBytesOf(sound.tracks))],
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
    ...soundPreparations(sound.tracks, window),
    twoPass: false,
    build: (graph) => build(context, side, { tracks: sound.tracks, id, window, stop, retimed }, graph),
  };
}

/** The sound of the film as a file of its own. */
import type { Audio } from "../operations/audio.schema.ts";
import type { SideFile } from "../operations/shape.ts";
import type { PlanContext } from "./context.ts";
import { isGuessed, toleranceSeconds } from "./expect.ts";
import { type OutputDraft, workFile } from "./output.ts";
import { invalidPlan } from "./refuse.ts";
import { copiedBytes, fileBytes } from "./resources.ts";
import { type SoundWishes, wishesOf } from "./sound.ts";
import { bitsOf, expectedAudio, soundOf, soundPart } from "./sound-part.ts";
import { muxerArgs, soundTagArgs, tagArgs } from "./tags.ts";
import { lengthOf, windowOf } from "./timeline.ts";

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

export function draftExtract(
  context: PlanContext,
  side: SideFile & { readonly operation: Audio },
  id: number,
): OutputDraft {
  const { source, operations, options } = context;
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
  const stop =
    copies && trimmed && window.end !== null ? ["-t", String(Number((window.end - window.start).toFixed(6)))] : [];
  return {
    id,
    container,
    window,
    seek: copies && trimmed ? "start" : "free",
    keyframesOnly: false,
    durationSeconds: seconds,
    memory: [{ model: { baseMb: 100, perMegapixelMb: 0, perThreadMb: 20, perThreadMegapixelMb: 0 }, megapixels: 0 }],
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
    build: (graph) => {
      const part = soundPart(sound.tracks, id, window, graph, (stream, n) => soundTagArgs(stream, n, options));
      return {
        chains: part.chains,
        args: [
          ...part.args,
          ...stop,
          ...tagArgs(options),
          ...muxerArgs(container, options),
          { file: workFile(id, container) },
        ],
      };
    },
  };
}

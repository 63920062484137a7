/** Passes that come before an output's own step: movements for stabilize, loudness for normalize. */
import type { VideoStream } from "../types.ts";
import type { Preparation } from "./output.ts";
import type { PictureState } from "./picture.ts";
import type { Track } from "./sound-part.ts";
import { cutPicture, cutSound, type Window } from "./timeline.ts";

const TO_NOWHERE = ["-f", "null", "-"] as const;

/** Each sees the picture as the filters before it leave it. */
export function picturePreparations(
  video: VideoStream,
  { passes, heldBytes }: PictureState,
  window: Window,
): Preparation[] {
  return passes.map(({ filters, file }) => ({
    step: "stabilize",
    megapixels: (video.width * video.height) / 1e6,
    heldBytes,
    needs: [],
    measures: [],
    writes: [file],
    build: ({ seekSeconds, input }) => ({
      chains: [
        {
          inputs: [`${input}:${video.index}`],
          filters: [...cutPicture(window, seekSeconds), ...filters],
          outputs: ["look"],
        },
      ],
      args: ["-map", "[look]", "-an", ...TO_NOWHERE],
    }),
  }));
}

export interface SoundPreparations {
  readonly preparations: readonly Preparation[];
  readonly needs: readonly string[];
  readonly measures: Preparation["measures"];
}

export function soundPreparations(tracks: readonly Track[], window: Window): SoundPreparations {
  const passes = tracks.flatMap(({ stream, way }) =>
    way.kind === "copy" ? [] : way.passes.map((pass, n) => ({ ...pass, stream, earlier: way.passes.slice(0, n), way })),
  );
  const preparations = passes.map(
    ({ name, filters, target, stream, earlier, way }): Preparation => ({
      step: "loudness",
      megapixels: 0,
      heldBytes: way.heldBytes,
      needs: earlier.map((one) => one.name),
      measures: [
        // Those before it in its chain print their reports too.
        ...earlier.map((one) => ({ name: one.name, when: "again" as const, targetLufs: one.target.lufs })),
        { name, when: "before", targetLufs: target.lufs },
      ],
      writes: [],
      build: ({ seekSeconds, input }) => ({
        chains: [
          {
            inputs: [`${input}:${stream.index}`],
            filters: [...cutSound(window, seekSeconds, stream.sampleRate), ...filters],
            outputs: ["heard"],
          },
        ],
        args: ["-map", "[heard]", "-vn", ...TO_NOWHERE],
      }),
    }),
  );
  const measures = passes.map(({ name, target }) => ({ name, when: "after" as const, targetLufs: target.lufs }));
  return { preparations, needs: measures.map(({ name }) => name), measures };
}

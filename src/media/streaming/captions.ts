/** Files of captions: each becomes one WebVTT file, which the packager cuts at the segments of the film. */

import type { Operation } from "../operations/parse.ts";
import { inputIndexOf } from "../operations/references.ts";
import type { StreamOperation } from "../operations/stream.schema.ts";
import { unsupportedInput } from "../plan/refuse.ts";
import type { Window } from "../plan/timeline.ts";
import type { PlanInput, PlanStep } from "../types.ts";
import type { PackagedStream } from "./packager-args.ts";

export interface CaptionRendition {
  readonly id: string;
  readonly input: PlanInput;
  readonly language: string;
  readonly group: string;
  readonly name: string;
}

/** What FFmpeg may open a file of captions as; images of text are none. */
export const CAPTION_DEMUXERS = ["srt", "webvtt", "ass"] as const;

const STEP_WEIGHT = 0;
const MEMORY_BYTES = 500e6;
const FILE_BYTES_MAX = 64e6;
const GROUP = "captions";

const fileOf = (id: string): string => `out/renditions/${id}.vtt`;

export function captionsOf(
  inputs: readonly PlanInput[],
  operations: readonly Operation[],
  operation: StreamOperation,
): readonly CaptionRendition[] {
  const first = inputIndexOf(operations, operations.indexOf(operation));
  const counts = new Map<string, number>();
  return (operation.captions ?? []).map(({ language }, n) => {
    const input = inputs[first + n];
    if (input === undefined) throw unsupportedInput(`There is no input for the captions in ${language}.`);
    const count = (counts.get(language) ?? 0) + 1;
    counts.set(language, count);
    return { id: `t${n}`, input, language, group: GROUP, name: count === 1 ? language : `${language} ${count}` };
  });
}

export const toPackaged = ({ id, language, group, name }: CaptionRendition): PackagedStream => ({
  ...{ id, kind: "text", file: fileOf(id), language, group, name },
});

/** Reads one file and writes WebVTT in the film's own time. */
export function captionStep({ id, input }: CaptionRendition, { start, end }: Window): PlanStep {
  const demuxer = CAPTION_DEMUXERS.find((name) => input.media.demuxers.includes(name));
  if (demuxer === undefined) throw unsupportedInput("Captions are read from srt, vtt and ass files.");
  return {
    id: `captions-${id}`,
    args: [
      ...["-protocol_whitelist", "file,pipe", "-format_whitelist", CAPTION_DEMUXERS.join(","), "-f", demuxer],
      ...(start > 0 ? ["-ss", String(start)] : []),
      ...(end === null ? [] : ["-t", String(end - start)]),
      "-i",
      { file: input.file },
      ...["-map", "0:s:0", "-c:s:0", "webvtt", "-map_metadata", "-1", "-f", "webvtt"],
      { file: fileOf(id) },
    ],
    filterGraph: null,
    durationSeconds: null,
    weight: STEP_WEIGHT,
    threads: 1,
    memoryBytesMax: MEMORY_BYTES,
    fileBytesMax: FILE_BYTES_MAX,
    writes: [fileOf(id)],
  };
}

/** Files of captions: each becomes one WebVTT file, which the packager cuts at the segments of the film. */

import type { Operation } from "../operations/parse.ts";
import { inputIndexOf } from "../operations/references.ts";
import type { StreamOperation } from "../operations/stream.schema.ts";
import { unsupportedInput } from "../plan/refuse.ts";
import type { Window } from "../plan/timeline.ts";
import type { PlanFile, PlanInput } from "../types.ts";
import type { PackagedStream } from "./packager-args.ts";

export interface CaptionRendition {
  readonly id: string;
  readonly input: PlanInput;
  readonly language: string;
  readonly group: string;
  readonly name: string;
}

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

/** `seconds` is the package's length, null when it is not known: no segment of captions is later than the film's last. */
export const captionFile = ({ id, input }: CaptionRendition, { start }: Window, seconds: number | null): PlanFile => ({
  file: fileOf(id),
  captions: {
    from: input.file,
    task: { to: "vtt", retiming: { shiftSeconds: -start, scale: 1, endSeconds: seconds } },
  },
});

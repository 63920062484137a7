/** A short loop of the film: the main output's way of encoding, with a part, a size and a rate of its own. */
import type { Operation } from "../operations/parse.ts";
import type { Preview } from "../operations/preview.schema.ts";
import type { SideFile } from "../operations/shape.ts";
import { type Transcode, transcodeSchema } from "../operations/transcode.schema.ts";
import type { PlanContext } from "./context.ts";
import type { OutputDraft } from "./output.ts";
import { draftPrimary } from "./primary.ts";
import { invalidPlan } from "./refuse.ts";

const FPS = { num: 10, den: 1 };

function encodeOf({ fps }: Preview): Transcode {
  return { ...transcodeSchema.parse({ type: "transcode", audio_codec: "none" }), fps: fps ?? FPS };
}

function operationsOf(earlier: readonly Operation[], preview: Preview, transcode: Transcode): Operation[] {
  const { start, duration, width } = preview;
  return [
    ...earlier.filter(({ type }) => type !== "transcode"),
    { type: "trim", start, duration, mode: "exact" },
    ...(typeof width === "number"
      ? [
          {
            type: "scale" as const,
            width,
            mode: "fit" as const,
            algorithm: "bicubic" as const,
            color: "black",
            enlarge: false,
          },
        ]
      : []),
    transcode,
  ];
}

export function draftPreview(
  context: PlanContext,
  side: SideFile & { readonly operation: Preview },
  id: number,
): OutputDraft {
  const { operation, index, container, name } = side;
  const { source } = context;
  if (source.video === null || source.video.still)
    throw invalidPlan("The input has no film to make a preview of.", `operations[${index}]`);
  const transcode = encodeOf(operation);
  const none = { subtitles: [], covers: [], attachments: [], data: [], furtherVideo: [], audio: [] };
  return draftPrimary({
    ...context,
    operations: operationsOf(context.operations.slice(0, index), operation, transcode),
    options: { strip_metadata: true },
    source: { ...source, ...none },
    shape: { container, transcode: { index, operation: transcode }, hasPrimary: true, sides: [] },
    output: { id, role: "preview", name },
  });
}

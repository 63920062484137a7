/** A measuring job's plan: no media is written, only the report. */
import type { CompileRequest } from "../compile.ts";
import type { Analyze } from "../operations/analyze.schema.ts";
import type { Operation } from "../operations/parse.ts";
import { unsupportedInput } from "../plan/refuse.ts";
import type { Plan } from "../types.ts";
import { compileMeasure } from "./compile-measure.ts";

export const analysisOf = (operations: readonly Operation[]): Analyze | null =>
  operations.find((one): one is Analyze => one.type === "analyze") ?? null;

const REPORT_BYTES_PER_SECOND = 200_000;

export function compileAnalyze(request: CompileRequest, operation: Analyze): Plan {
  const { capabilities, limits, threads, inputs } = request;
  const [distorted, reference = null] = inputs;
  if (distorted === undefined) throw unsupportedInput("There is no input.");
  const { steps, logs } = compileMeasure({
    ...{ distorted, reference, metrics: operation.metrics, vmafModel: operation.vmaf_model },
    ...{ subsample: operation.subsample, folder: "measure", capabilities, limits, threads },
  });
  const seconds = distorted.media.durationSeconds ?? limits.maxDurationSeconds;
  return {
    version: 1,
    files: [],
    steps,
    outputs: [
      {
        ...{ role: "report", file: "out/0.json", name: null, mediaType: "application/json" },
        expect: {
          ...{ demuxers: [], durationSeconds: null, durationToleranceSeconds: 0, video: [], audio: [] },
          ...{ subtitles: 0, still: false },
        },
        content: { kind: "frames", logs },
      },
    ],
    warnings: lengthWarnings(request, operation),
    copiesOnly: false,
    workBytesMax: Math.ceil(REPORT_BYTES_PER_SECOND * seconds + 50e6),
  };
}

/** Behind the end of the shorter one its last picture stands; that says something of the lengths, not of the quality. */
function lengthWarnings({ inputs }: CompileRequest, { reference }: Analyze): string[] {
  const [distorted, other] = inputs.map(({ media }) => media.durationSeconds);
  if (reference === undefined || distorted == null || other == null) return [];
  const off = distorted - other;
  if (Math.abs(off) < 0.1) return [];
  const word = off > 0 ? "longer" : "shorter";
  return [`The distorted file is ${Math.abs(off).toFixed(2)} seconds ${word} than the reference.`];
}

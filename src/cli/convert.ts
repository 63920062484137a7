import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { convertOnce } from "../boot/convert-once.ts";
import { RendiffError } from "../errors.ts";
import { parseConvertBody } from "../jobs/convert.schema.ts";
import type { PublishManifest } from "../jobs/types.ts";
import { parseOperations } from "../media/operations/parse.ts";
import { referencesOf } from "../media/operations/references.ts";
import { formatUri } from "../storage/uri.ts";
import { configFor, quietLoggerFor } from "./config.ts";
import { type CommandContext, CommandFailed, EXIT_FAILED } from "./context.ts";
import { makeProgressBar } from "./progress-bar.ts";

export interface ConvertOptions {
  readonly videoCodec?: string;
  readonly audioCodec?: string;
  readonly crf?: number;
  readonly preset?: string;
  readonly videoBitrate?: string;
  readonly audioBitrate?: string;
  readonly fps?: number;
  readonly width?: number;
  readonly height?: number;
  readonly start?: string;
  readonly duration?: string;
  readonly format?: string;
  readonly namedPreset?: string;
  readonly operations?: string;
  readonly overwrite: boolean;
  readonly json?: boolean;
}

const CANCELLED_EXIT = 130;

const present = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

function furtherOperations(text: string | undefined): unknown[] {
  if (text === undefined) return [];
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value)) return value;
  } catch {
    // Said below, as for any other text that is no array.
  }
  throw new RendiffError({
    kind: "request.invalid",
    publicMessage: "--operations must be a JSON array of operations.",
  });
}

/** In the order in which they make sense: cut, change the picture's size, encode. */
function operationsOf(options: ConvertOptions): unknown[] {
  const trim = present({ start: options.start, duration: options.duration });
  const scale = present({ width: options.width, height: options.height });
  const transcode = present({
    video_codec: options.videoCodec,
    audio_codec: options.audioCodec,
    crf: options.crf,
    preset: options.preset,
    video_bitrate: options.videoBitrate,
    audio_bitrate: options.audioBitrate,
    fps: options.fps,
  });
  const operation = (type: string, fields: Record<string, unknown>): unknown[] =>
    Object.keys(fields).length === 0 ? [] : [{ type, ...fields }];
  return [
    ...operation("trim", trim),
    ...operation("scale", scale),
    ...furtherOperations(options.operations),
    ...operation("transcode", transcode),
  ];
}

const toUri = (path: string): string => formatUri({ backend: "local", key: resolve(path).slice(1) });

function printDone(context: CommandContext, output: string, manifest: PublishManifest): void {
  for (const warning of manifest.warnings) context.err(`warning: ${warning}`);
  const [primary] = manifest.steps;
  if (primary === undefined) return;
  const streams = primary.media.streams.map((stream) =>
    stream.kind === "video" ? `${stream.codec} ${stream.width}x${stream.height}` : stream.codec,
  );
  context.out(`${output}: ${primary.staged.sizeBytes} bytes, ${streams.join(", ")}, verified`);
}

export async function convertCommand(
  context: CommandContext,
  input: string,
  output: string,
  options: ConvertOptions,
): Promise<void> {
  const { spec: parsed } = parseConvertBody({
    input_path: toUri(input),
    output_path: toUri(output),
    operations: operationsOf(options),
    options: present({ overwrite: options.overwrite, format: options.format, preset: options.namedPreset }),
  });
  // Files that operations name are paths here too.
  const further = referencesOf(parseOperations(parsed.operations)).map(({ uri }) => toUri(uri));
  const spec = { ...parsed, inputs: [...parsed.inputs, ...further] };
  const config = configFor();
  const dataDir = join(homedir(), ".cache", "rendiff");
  const bar = makeProgressBar(context);
  let manifest: PublishManifest | null = null;
  const result = await convertOnce({
    config: { ...config, process: { ...config.process, dataDir } },
    logger: quietLoggerFor(config),
    spec,
    signal: context.signal,
    onReport(report) {
      if (report.type === "completed") manifest = report.manifest;
      else bar.show(report);
    },
  });
  bar.end();
  if (result.outcome === "cancelled") {
    context.err("Cancelled; nothing was written.");
    throw new CommandFailed(CANCELLED_EXIT);
  }
  if (result.outcome !== "completed" || manifest === null) {
    if (result.error !== null) throw result.error;
    throw new CommandFailed(EXIT_FAILED);
  }
  if (options.json === true) context.out(JSON.stringify(manifest));
  else printDone(context, output, manifest);
}

/** ffprobe's command line and its answer as JSON. */
import { RendiffError } from "../errors.ts";
import { diagnose } from "../media/diagnose.ts";
import type { ProcessRunner } from "../process/port.ts";
import { runTool } from "./run-tool.ts";

const GIB = 1024 ** 3;
/** Libraries alone take 0.5 GiB of addresses; an 8K picture and its references as much again. */
const ADDRESS_SPACE_BYTES = 4 * GIB;
const OPEN_FILES = 128;

/** What ffprobe reads at most to learn about the streams, and for how much of the film. */
const PROBE_BYTES = 20_000_000;
const ANALYZE_MICROSECONDS = 10_000_000;

const READ_MS_MIN = 60_000;
/** A disk that is slower than this is broken. */
const BYTES_PER_SECOND_MIN = 2_000_000;

/** How long reading the whole of a file may take. */
export const readTimeoutMs = (sizeBytes: number): number => READ_MS_MIN + (sizeBytes / BYTES_PER_SECOND_MIN) * 1000;

/** What is decoded as a whole: below it, looking at parts of it alone would take longer. */
export const FULL_DECODE_PIXELS_MAX = 64_000_000;

export interface ProbeRun {
  readonly runner: ProcessRunner;
  readonly ffprobePath: string;
  /** Absolute path, as ffprobe sees it. */
  readonly file: string;
  /** Where the bytes lie, when that is elsewhere; absolute. */
  readonly source?: string;
  readonly inputFormats: readonly string[];
  /** The one format it must have; absent: found by its content. */
  readonly demuxer?: string;
  /** Pixels of a picture that a decoder may allocate; null for FFmpeg's own limit, of a file of our own making. */
  readonly pixelsMax: number | null;
  /** What to show; `-of json` is added. */
  readonly show: readonly string[];
  readonly timeoutMs: number;
  readonly threads?: number;
  readonly niceness?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ProbeAnswer {
  readonly json: unknown;
  /** What ffprobe said of errors; empty for a sound file. */
  readonly stderr: string;
  readonly cpuMs: number;
}

function argsOf(run: ProbeRun): string[] {
  const args = ["-hide_banner", "-v", "level+error", "-of", "json=compact=1", ...run.show];
  args.push("-protocol_whitelist", "file,pipe", "-format_whitelist", run.inputFormats.join(","));
  args.push("-probesize", `${PROBE_BYTES}`, "-analyzeduration", `${ANALYZE_MICROSECONDS}`);
  if (run.pixelsMax !== null) args.push("-max_pixels", `${run.pixelsMax}`);
  if (run.demuxer !== undefined) args.push("-f", run.demuxer);
  // One thread starts faster than two, and looking at headers keeps no second one busy.
  args.push("-threads", `${run.threads ?? 1}`, "-i", `file:${run.file}`);
  return args;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Throws a RendiffError `input.unreadable`, `input.unsupported` and the like when ffprobe ends with an error. */
export async function runFfprobe(run: ProbeRun): Promise<ProbeAnswer> {
  const { exit, stdout, timedOut, overflowed } = await runTool({
    runner: run.runner,
    program: run.ffprobePath,
    args: argsOf(run),
    readOnly: [{ source: run.source ?? run.file, target: run.file }],
    onlyReads: true,
    limits: {
      addressSpaceBytes: ADDRESS_SPACE_BYTES,
      fileBytes: 0,
      cpuSeconds: Math.ceil(run.timeoutMs / 1000) * 2,
      openFiles: OPEN_FILES,
    },
    timeoutMs: run.timeoutMs,
    niceness: run.niceness ?? 0,
    signal: run.signal,
  });
  if (overflowed) {
    throw new RendiffError({
      kind: "input.unsupported",
      publicMessage: "The input describes itself at such length that it is refused.",
      hint: "Remove its metadata, chapters or attachments.",
    });
  }
  const json = parseJson(stdout);
  if (timedOut || exit.exitCode !== 0 || json === null) {
    if (timedOut) {
      throw new RendiffError({
        kind: "input.unreadable",
        publicMessage: `The input could not be read within ${Math.round(run.timeoutMs / 1000)} seconds.`,
      });
    }
    throw diagnose({
      exit,
      stderrTail: exit.stderrTail,
      task: run.pixelsMax === null ? "verify" : "probe",
      memoryBytesMax: ADDRESS_SPACE_BYTES,
      hiddenPaths: [run.file, run.source ?? run.file],
    });
  }
  return { json, stderr: exit.stderrTail, cpuMs: exit.cpuMs ?? 0 };
}

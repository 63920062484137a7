/** One step of a plan: FFmpeg from start to reaped, watched for stalls, its failure explained. */
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { printArgs } from "../media/argv.ts";
import { diagnose, diagnoseLostWrite } from "../media/diagnose.ts";
import { type LoudnessBlock, parseLoudness } from "../media/measured.ts";
import { makeProgressParser } from "../media/progress.ts";
import type { EncodeProgress, PlanStep } from "../media/types.ts";
import type { ProcessExit, ProcessHandle, ProcessRunner } from "../process/port.ts";
import type { Findings } from "./findings.ts";
import { readFindings } from "./findings.ts";
import { limitTime } from "./limit-time.ts";
import type { MediaTools } from "./tools.ts";

/** Before every step's own arguments. `level` marks the lines that tell what went wrong. */
export const FFMPEG_HEAD: readonly string[] = [
  ...["-nostdin", "-hide_banner", "-nostats", "-y", "-v", "level+warning"],
  ...["-progress", "pipe:1", "-stats_period", "0.5"],
];

const GRACE_MS = 2_000;
const STDERR_BYTES_MAX = 64 * 1024;
const OPEN_FILES = 1024;
const LOOKS_PER_STALL = 4;

export interface StepRequest {
  readonly runner: ProcessRunner;
  readonly tools: MediaTools;
  readonly step: PlanStep;
  /** Absolute path of the attempt's work folder. */
  readonly workDir: string;
  /** Inputs that lie outside the work folder, at the paths where the plan names them (absolute). */
  readonly readOnly: readonly { readonly source: string; readonly target: string }[];
  /** Without progress; the time that FFmpeg stood in line for a processor apart. */
  readonly stallTimeoutMs: number;
  /** What is left of the attempt's time. */
  readonly timeoutMs: number;
  readonly niceness: number;
  /** What the step reads from its standard input; ended by us when FFmpeg wants no more of it. */
  readonly input?: AsyncGenerator<Uint8Array>;
  onProgress?(progress: EncodeProgress): void;
  readonly signal?: AbortSignal;
}

export interface StepResult {
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly peakRssBytes: number | null;
  /** Frames of the first picture stream and seconds written, as FFmpeg counted them last; null when it did not. */
  readonly frames: number | null;
  readonly outSeconds: number | null;
  /** What its filters reported of the sound, in the order of `step.measures`. */
  readonly loudness: readonly LoudnessBlock[];
  /** By name, of `step.findings`. */
  readonly findings: Findings;
}

type Ending = { timedOutAfterMs?: number; stalledAfterMs?: number };

/** Stops `handle` when time is up, when nothing moved for too long, or when the caller no longer wants it. */
function makeGuard(request: StepRequest, handle: ProcessHandle) {
  const ending: Ending = {};
  const stop = (why: Ending) => {
    Object.assign(ending, why);
    void handle.stop(GRACE_MS);
  };
  const { timeoutMs, stallTimeoutMs, signal } = request;
  const deadline = setTimeout(() => stop({ timedOutAfterMs: timeoutMs }), timeoutMs);
  const stall = limitTime(handle, stallTimeoutMs, () => stop({ stalledAfterMs: stallTimeoutMs }));
  let bytesRead = 0;
  const look = () => {
    // What comes out at the very end (a sprite, a waveform, a film backwards) shows until then by its reading that it moves.
    const read = handle.bytesRead() ?? bytesRead;
    if (read > bytesRead) stall.restart();
    bytesRead = read;
  };
  const looking = setInterval(look, stallTimeoutMs / LOOKS_PER_STALL);
  // A cancelled job's half output is of no use: no grace.
  const abort = () => handle.kill();
  signal?.addEventListener("abort", abort);
  return {
    ending,
    moved: stall.restart,
    end() {
      clearTimeout(deadline);
      clearInterval(looking);
      stall.end();
      signal?.removeEventListener("abort", abort);
    },
  };
}

/**
 * Writes the input to FFmpeg as fast as it reads. Resolves when nothing is read or written any more: to null, or to the
 * error of the input, in which case FFmpeg is killed, since an end of its input would look like the end of the film.
 */
async function feed({ input }: StepRequest, handle: ProcessHandle, moved: () => void): Promise<unknown> {
  if (input === undefined || handle.stdin === null) return null;
  let dead = false;
  const gone = handle.exited.then(() => {
    dead = true;
  });
  try {
    for await (const part of input) {
      if (dead) break;
      // A reader that ends early has what it wants; its exit says whether that is so.
      const taken = await Promise.race([
        handle.stdin.write(part).then(
          () => true,
          () => false,
        ),
        gone.then(() => false),
      ]);
      if (!taken) break;
      moved();
    }
    await Promise.race([handle.stdin.end().catch(() => {}), gone]);
    return null;
  } catch (error) {
    if (dead) return null;
    handle.kill();
    return error;
  }
}

function assertDone(request: StepRequest, exit: ProcessExit, ending: Ending): void {
  const hiddenPaths = [request.workDir, ...request.readOnly.map((one) => one.source)];
  const cut = ending.timedOutAfterMs !== undefined || ending.stalledAfterMs !== undefined;
  if (exit.exitCode !== 0 || cut) {
    const { step } = request;
    throw diagnose({
      ...{ exit, stderrTail: exit.stderrTail, task: "step", step: step.id },
      ...{ memoryBytesMax: step.memoryBytesMax, hiddenPaths },
      ...ending,
    });
  }
  const lost = diagnoseLostWrite(exit.stderrTail, hiddenPaths);
  if (lost !== null) throw lost;
}

/**
 * Resolves when FFmpeg ended with 0 and said nothing of a lost write; that proves no output, see `verifyOutput`. Throws a
 * diagnosed RendiffError otherwise. An abort kills at once and rejects with the signal's reason. In every case the whole
 * process group is dead when it settles.
 */
export async function runStep(request: StepRequest): Promise<StepResult> {
  const { runner, tools, step, workDir, signal } = request;
  signal?.throwIfAborted();
  // Mostly the one that is there already, which is no reason to wait for a turn.
  for (const folder of new Set(step.writes.map((file) => dirname(join(workDir, file))))) {
    mkdirSync(folder, { recursive: true });
  }
  const parser = makeProgressParser({ durationSeconds: step.durationSeconds });
  let last: EncodeProgress | null = null;
  let mark = "";
  const onLine = (line: string) => {
    const progress = parser.push(line);
    if (progress === null) return;
    last = progress;
    if (parser.mark() !== mark) guard.moved();
    mark = parser.mark();
    request.onProgress?.(progress);
  };
  const handle = runner.start({
    program: tools.ffmpegPath,
    args: [...FFMPEG_HEAD, ...printArgs(step.args, workDir)],
    workDir,
    readOnly: request.readOnly,
    ...(step.devices === undefined ? {} : { devices: step.devices }),
    limits: {
      // Drivers of cards take addresses for all of the machine's memory and the card's.
      addressSpaceBytes: step.devices === undefined ? step.memoryBytesMax : null,
      fileBytes: step.fileBytesMax,
      // All cores for the whole time, and some: the deadline proper is the wall clock's.
      cpuSeconds: Math.ceil((request.timeoutMs / 1000) * (step.threads + 2)) + 60,
      openFiles: OPEN_FILES,
    },
    sandbox: "default",
    niceness: request.niceness,
    ...(request.input === undefined ? {} : { stdin: "pipe" as const }),
    onLine,
    stderrBytesMax: STDERR_BYTES_MAX,
  });
  const guard = makeGuard(request, handle);
  const feeding = feed(request, handle, guard.moved);
  const exit = await handle.exited;
  guard.end();
  const fed = await feeding;
  signal?.throwIfAborted();
  // Without its end FFmpeg was killed: why the end is missing is the better reason.
  if (fed !== null) throw fed;
  assertDone(request, exit, guard.ending);
  const final = last as EncodeProgress | null;
  const outSeconds = final?.outSeconds ?? null;
  return {
    wallMs: exit.wallMs,
    cpuMs: exit.cpuMs ?? 0,
    peakRssBytes: exit.peakRssBytes,
    frames: final?.frame ?? null,
    outSeconds,
    loudness: step.measures === undefined ? [] : parseLoudness(exit.stderrTail),
    findings: await readFindings(step.findings ?? [], { workDir, stderr: exit.stderrTail, outSeconds }),
  };
}

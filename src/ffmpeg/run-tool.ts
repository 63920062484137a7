/** Runs FFmpeg or ffprobe to its end and keeps what it prints. */

import type { ProcessExit, ProcessLimits, ProcessRunner } from "../process/port.ts";
import { limitTime } from "./limit-time.ts";

/** What is kept of stdout; what prints more is stopped. */
const OUTPUT_LENGTH_MAX = 16 * 1024 * 1024;
const STDERR_BYTES_MAX = 64 * 1024;

/** Absolute paths: where it lies, and where the program sees it. */
export interface ReadOnlyFile {
  readonly source: string;
  readonly target: string;
}

export interface ToolRun {
  readonly runner: ProcessRunner;
  readonly program: string;
  readonly args: readonly string[];
  readonly workDir?: string | null;
  readonly readOnly?: readonly ReadOnlyFile[];
  readonly devices?: readonly string[];
  readonly onlyReads?: boolean;
  readonly limits: ProcessLimits;
  /** The time that it stood in line for a processor apart. */
  readonly timeoutMs: number;
  readonly niceness?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface ToolResult {
  readonly exit: ProcessExit;
  readonly stdout: string;
  readonly timedOut: boolean;
  /** More was printed than is kept; it was killed. */
  readonly overflowed: boolean;
}

/** Rejects only with the reason of `signal`, and then only when the process is dead. */
export async function runTool(run: ToolRun): Promise<ToolResult> {
  run.signal?.throwIfAborted();
  const lines: string[] = [];
  let length = 0;
  const ended = { timedOut: false, overflowed: false };
  const handle = run.runner.start({
    program: run.program,
    args: run.args,
    workDir: run.workDir ?? null,
    readOnly: run.readOnly ?? [],
    devices: run.devices ?? [],
    onlyReads: run.onlyReads ?? false,
    limits: run.limits,
    sandbox: "default",
    niceness: run.niceness ?? 0,
    stderrBytesMax: STDERR_BYTES_MAX,
    onLine(line) {
      length += line.length + 1;
      if (length <= OUTPUT_LENGTH_MAX) lines.push(line);
      else {
        ended.overflowed = true;
        handle.kill();
      }
    },
  });
  const limit = limitTime(handle, run.timeoutMs, () => {
    ended.timedOut = true;
    handle.kill();
  });
  const abort = () => handle.kill();
  run.signal?.addEventListener("abort", abort);
  try {
    const exit = await handle.exited;
    run.signal?.throwIfAborted();
    return { exit, stdout: lines.join("\n"), ...ended };
  } finally {
    limit.end();
    run.signal?.removeEventListener("abort", abort);
  }
}

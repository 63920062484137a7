/** Runners for tests, one of each way to box a child in, and short requests to them. */
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { findHostTools } from "../../src/process/host.ts";
import type { ProcessExit, ProcessRequest, ProcessRunner } from "../../src/process/port.ts";
import { makeProcessRunner } from "../../src/process/runner.ts";
import { makeTempDir } from "./temp-dir.ts";

/** `pdeathsig` and `watchdog` are what guards children where bubblewrap is off or missing. */
export type RunnerKind = "bubblewrap" | "pdeathsig" | "watchdog";

export const RUNNER_KINDS: readonly RunnerKind[] =
  process.platform === "linux" ? ["bubblewrap", "pdeathsig", "watchdog"] : ["watchdog"];

export function runnerOf(kind: RunnerKind): Promise<ProcessRunner> {
  if (kind === "bubblewrap") return makeProcessRunner({ sandbox: "required" });
  if (kind === "pdeathsig") return makeProcessRunner({ sandbox: "off" });
  return makeProcessRunner({ sandbox: "off", tools: { ...findHostTools(), setpriv: null } });
}

/** The best that this machine has: what a server would use. */
export const bestRunner = (): Promise<ProcessRunner> =>
  makeProcessRunner({ sandbox: process.platform === "linux" ? "required" : "auto" });

export const NO_LIMITS = { addressSpaceBytes: null, fileBytes: null, cpuSeconds: null, openFiles: null } as const;

export function toRequest(
  program: string,
  args: readonly string[],
  rest: Partial<ProcessRequest> = {},
): ProcessRequest {
  return {
    ...{ program, args, workDir: null, readOnly: [], limits: NO_LIMITS, sandbox: "default", niceness: 0 },
    stderrBytesMax: 16_384,
    ...rest,
  };
}

/** A system program under its own name, for a sandbox that shows none. */
export function showPrograms(...names: readonly string[]): ProcessRequest["readOnly"] {
  return names.map((name) => {
    const path = Bun.which(name);
    if (path === null) throw new Error(`${name} is not on PATH.`);
    return { source: path, target: path };
  });
}

export const shell = (script: string, rest: Partial<ProcessRequest> = {}): ProcessRequest =>
  toRequest("/bin/sh", ["-c", script], rest);

export interface Ran extends ProcessExit {
  readonly lines: readonly string[];
}

/** Runs to the end and collects stdout. */
export async function run(runner: ProcessRunner, request: ProcessRequest): Promise<Ran> {
  const lines: string[] = [];
  const exit = await runner.start({ ...request, onLine: (line) => lines.push(line) }).exited;
  return { ...exit, lines };
}

/** A `bwrap` that boxes nothing in: it drops its own arguments and runs the program. */
export async function makeSievedBwrap(): Promise<string> {
  const path = join(await makeTempDir("bwrap"), "bwrap");
  await Bun.write(path, '#!/bin/sh\nwhile [ "$1" != "--" ]; do shift; done\nshift\nexec env BUN_BE_BUN=1 "$@"\n');
  await chmod(path, 0o755);
  return path;
}

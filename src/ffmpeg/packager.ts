/** Shaka Packager: found, tried and run. */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { RendiffError } from "../errors.ts";
import { diagnose, toEvidence } from "../media/diagnose.ts";
import type { Ability, PlanStep } from "../media/types.ts";
import type { ProcessExit, ProcessRunner } from "../process/port.ts";
import type { ContentKey } from "./package/encrypt.ts";
import { ENCRYPTING, withKeyFlags } from "./package/key-flags.ts";
import { runTool } from "./run-tool.ts";
import { isProgram } from "./tools.ts";

const OPEN_FILES = 1024;
const TRY_TIMEOUT_MS = 10_000;
const TRY_MEMORY_BYTES = 1e9;
const NAMES = ["packager", "shaka-packager"] as const;

/** Of the npm package, which holds a program for each system. */
function bundledName(): string | null {
  const system = process.platform === "darwin" ? "osx" : process.platform === "linux" ? "linux" : null;
  const processor = process.arch === "x64" || process.arch === "arm64" ? process.arch : null;
  return system === null || processor === null ? null : `packager-${system}-${processor}`;
}

/** In node_modules beside the sources; a compiled binary has none and finds it on PATH or by its setting. */
function bundled(): string | null {
  const name = bundledName();
  return name === null ? null : join(import.meta.dir, "../../node_modules/shaka-packager/bin", name);
}

/** Null when there is none. `configured` is PACKAGER_PATH, absolute. */
export function findPackager(configured: string | null): string | null {
  if (configured !== null) return isProgram(configured) ? configured : null;
  const candidates = [...NAMES.map((name) => Bun.which(name)), bundled()];
  return candidates.find((path) => path !== null && isProgram(path)) ?? null;
}

/** Starts it once, in the sandbox in which it will work. */
export async function tryPackager(runner: ProcessRunner, path: string | null): Promise<Ability> {
  if (path === null) return { ok: false, reason: "Shaka Packager was not found; install it or set PACKAGER_PATH" };
  const { exit, stdout } = await runTool({
    ...{ runner, program: path, args: ["--version"], timeoutMs: TRY_TIMEOUT_MS },
    limits: { addressSpaceBytes: TRY_MEMORY_BYTES, fileBytes: 0, cpuSeconds: 10, openFiles: 64 },
  });
  if (exit.exitCode === 0 && /packager/i.test(stdout)) return { ok: true };
  return { ok: false, reason: "the program at PACKAGER_PATH does not start as Shaka Packager" };
}

export interface PackagerRun {
  readonly runner: ProcessRunner;
  readonly program: string | null;
  readonly step: PlanStep;
  readonly workDir: string;
  readonly timeoutMs: number;
  readonly niceness: number;
  /** Of a step that encrypts. */
  readonly contentKey: ContentKey | null;
  readonly signal?: AbortSignal;
}

function withKeyOf<T>({ step, workDir, contentKey: key }: PackagerRun, start: (args: readonly string[]) => Promise<T>) {
  if (step.encrypts !== true) return start([]);
  if (key === null) throw new Error("A step that encrypts needs a key.");
  return withKeyFlags(workDir, key, (flags) => start([...ENCRYPTING, "--hls_key_uri", key.uri, ...flags]));
}

/** Resolves when it ended with 0; what it wrote is held against the plan afterwards. */
export async function runPackager(run: PackagerRun): Promise<{ wallMs: number; cpuMs: number | null }> {
  const { runner, program, step, workDir, timeoutMs } = run;
  if (program === null) {
    throw new RendiffError({ kind: "plan.unsupported", publicMessage: "There is no packager on this worker." });
  }
  for (const file of step.writes) await mkdir(dirname(join(workDir, file)), { recursive: true });
  const args = step.args.map((arg) => {
    if (typeof arg !== "string") throw new Error("The packager's paths are relative to the work folder.");
    return arg;
  });
  const start = (more: readonly string[]) =>
    runTool({
      ...{ runner, program, args: [...args, ...more], workDir, timeoutMs, niceness: run.niceness, signal: run.signal },
      limits: {
        addressSpaceBytes: step.memoryBytesMax,
        fileBytes: step.fileBytesMax,
        cpuSeconds: Math.ceil(timeoutMs / 1000) + 60,
        openFiles: OPEN_FILES,
      },
    });
  const { exit, timedOut } = await withKeyOf(run, start);
  if (exit.exitCode === 0 && !timedOut) return { wallMs: exit.wallMs, cpuMs: exit.cpuMs };
  throw failureOf(run, exit, timedOut);
}

/** All its writes fail with these words, and nothing else does: the work folder's permissions are ours. */
const LOST_WRITE = /FILE_FAILURE|No space left|File size limit/;

function failureOf({ step, workDir, timeoutMs }: PackagerRun, exit: ProcessExit, timedOut: boolean): RendiffError {
  const said = exit.stderrTail.trim().split("\n");
  const line = said.findLast((one) => LOST_WRITE.test(one)) ?? said.at(-1) ?? "";
  const evidence = toEvidence(line, [workDir]);
  const told = { retry: "backoff", ...(evidence === "" ? {} : { evidence }) } as const;
  if (LOST_WRITE.test(line)) {
    return new RendiffError({
      ...{ kind: "resource.disk", publicMessage: "There was no room to write the package." },
      ...told,
    });
  }
  if (!timedOut && exit.signal === null)
    return new RendiffError({
      kind: "output.invalid",
      publicMessage: "The renditions could not be packaged.",
      ...told,
    });
  return diagnose({
    ...{ exit, stderrTail: exit.stderrTail, task: "step", step: step.id, memoryBytesMax: step.memoryBytesMax },
    ...{ hiddenPaths: [workDir], ...(timedOut ? { timedOutAfterMs: timeoutMs } : {}) },
  });
}

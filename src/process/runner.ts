/** The only place that starts programs: boxed in where this machine can, with rlimits and death with the parent always. */
import { accessSync, constants, lstatSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute } from "node:path";
import { RendiffError } from "../errors.ts";
import { startChild } from "./child.ts";
import { type Box, makeCommand } from "./command.ts";
import { findHostTools, type HostTools, systemBinds } from "./host.ts";
import type { ProcessHandle, ProcessRequest, ProcessRunner } from "./port.ts";
import { testSandbox } from "./self-test.ts";

export interface ProcessRunnerOptions {
  /** `required` refuses to run without a sandbox that held; `auto` goes on without and says why; `off` does not try. */
  readonly sandbox: "required" | "auto" | "off";
  readonly logger?: { warn(fields: object, message: string): void };
  /** Where the sandbox is tried, a folder that is there; the system's own for such things when absent. */
  readonly scratchDir?: string;
  /** What the machine has; looked up when absent. */
  readonly tools?: HostTools;
  /** The sandbox is being tried from now on, by another process. */
  readonly onTesting?: () => void;
}

type Sandbox = ProcessRunner["sandbox"];

async function chooseSandbox(
  { sandbox: mode, scratchDir = tmpdir(), onTesting }: ProcessRunnerOptions,
  tools: HostTools,
): Promise<Sandbox> {
  if (mode === "off") return { mode: "none", reason: "SANDBOX is off" };
  if (process.platform !== "linux") return { mode: "none", reason: "bubblewrap exists for Linux only" };
  if (tools.bwrap === null) return { mode: "none", reason: "bubblewrap (bwrap) is not installed" };
  const failure = await testSandbox({ tools, binds: systemBinds() }, scratchDir, onTesting);
  if (failure === null) return { mode: "bubblewrap", reason: "a canary file and a canary listener were out of reach" };
  return { mode: "none", reason: failure };
}

/** Without a sandbox a file appears at its target by a symbolic link, which goes with the work folder. */
function linkReadOnly(request: ProcessRequest): void {
  for (const { source, target } of request.readOnly) {
    if (source === target || lstatSync(target, { throwIfNoEntry: false }) !== undefined) continue;
    symlinkSync(source, target);
  }
}

function assertStartable(request: ProcessRequest): void {
  try {
    if (!isAbsolute(request.program)) throw new Error("The program's path is not absolute.");
    accessSync(request.program, constants.X_OK);
    if (request.workDir !== null) accessSync(request.workDir, constants.W_OK);
  } catch (cause) {
    throw new RendiffError({
      kind: "internal",
      retry: "backoff",
      publicMessage: "A program that this job needs could not be started.",
      cause,
    });
  }
}

/** Tests the sandbox before it resolves; with `required` it throws when the sandbox did not hold. */
export async function makeProcessRunner(options: ProcessRunnerOptions): Promise<ProcessRunner> {
  const tools = options.tools ?? findHostTools();
  const sandbox = await chooseSandbox(options, tools);
  if (sandbox.mode === "none" && options.sandbox === "required") {
    throw new RendiffError({
      kind: "service.unavailable",
      publicMessage: `SANDBOX is required, but ${sandbox.reason}.`,
      hint: "Install bubblewrap (apt-get install bubblewrap) and allow user namespaces, or set SANDBOX=auto.",
    });
  }
  if (sandbox.mode === "none") {
    options.logger?.warn({ reason: sandbox.reason }, "FFmpeg runs without a sandbox");
  }
  const box: Box = { tools, binds: sandbox.mode === "bubblewrap" ? systemBinds() : null };
  return {
    sandbox,
    start(request: ProcessRequest): ProcessHandle {
      assertStartable(request);
      const command = makeCommand(box, request);
      if (command.wrapper !== "bubblewrap") linkReadOnly(request);
      return startChild(command, request);
    },
  };
}

/**
 * One running child: its pipes are read from the first moment, its end is reported once.
 *
 * The child leads a session and group of its own. In a sandbox the program is pid 1 of a namespace: SIGTERM must reach it
 * alone (bubblewrap itself would die of it and take the program along without a trailer), and SIGKILL goes to it first, so
 * that bubblewrap reaps it and no zombie is left to whatever runs as init in a container.
 */
import { closeSync, readdirSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";
import { type Command, environmentOf } from "./command.ts";
import { makeLineSplitter, makeTail } from "./output.ts";
import type { ProcessExit, ProcessHandle, ProcessInput, ProcessRequest } from "./port.ts";
import { watchWaiting } from "./waiting.ts";

/** How long bubblewrap gets to reap a killed program before the group is killed. */
const REAP_MS = 250;
/** How long pipes may stay open after the child is reaped: only a process that left the group can hold them. */
const DRAIN_MS = 1_000;

type Child = ReturnType<typeof spawnChild>;

function spawnChild(command: Command, request: ProcessRequest) {
  const stdout = request.onLine === undefined ? "ignore" : "pipe";
  const stdin = request.stdin ?? "ignore";
  return Bun.spawn([...command.argv], {
    stdio: command.wrapper === "none" ? [stdin, stdout, "pipe"] : [stdin, stdout, "pipe", "pipe"],
    env: environmentOf(request.program),
    cwd: request.workDir ?? "/",
    detached: true,
  });
}

/** Of a process first, so that whatever it begins from then on inherits it; then of what it had begun by then. */
function setNiceness(pid: number, priority: number): void {
  setPriority(pid, priority);
  const threads = `/proc/${pid}/task`;
  for (const thread of readdirSync(threads)) if (Number(thread) !== pid) setPriority(Number(thread), priority);
  for (const child of readFileSync(`${threads}/${pid}/children`, "utf8").split(" ")) {
    if (child !== "") setNiceness(Number(child), priority);
  }
}

/**
 * From outside, since `nice` in front of it takes a millisecond; at this moment a shell has hardly begun to set its limits.
 *
 * Linux can share the processors out between sessions before it does between their processes (autogroup). There the niceness
 * of a program that has a session of its own counts for nothing, and the session's does.
 */
function beNice({ pid }: Child, niceness: number): void {
  if (niceness === 0) return;
  const tell = (how: () => void): void => {
    try {
      how();
    } catch {
      // This system does not share so, or who was to be told has ended already.
    }
  };
  tell(() => setNiceness(pid, Math.min(constants.priority.PRIORITY_LOW, getPriority() + niceness)));
  tell(() => writeFileSync(`/proc/${pid}/autogroup`, `${niceness}`));
}

/** Sends to a pid or, negative, to a group; never to 0, 1 or -1, which mean other processes altogether. */
function send(target: number, signal: NodeJS.Signals | 0): boolean {
  if (!Number.isInteger(target) || Math.abs(target) <= 1) return false;
  try {
    process.kill(target, signal);
    return true;
  } catch {
    return false;
  }
}

async function drain(stream: ReadableStream<Uint8Array>, push: (chunk: Uint8Array) => void, cut: Promise<void>) {
  const reader = stream.getReader();
  void cut.then(() => reader.cancel()).catch(() => {});
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) push(part.value);
  } catch {
    // A pipe that breaks is at its end; what the process did is told by its exit.
  }
}

/** The program's pid as bubblewrap reported it; null while it has not, or without a sandbox. */
function makeProgramPid(child: Child, wrapper: Command["wrapper"]) {
  // Bun hands over the descriptor for good: it is ours to close.
  const descriptor = wrapper === "none" ? null : (child.stdio[3] as unknown as number | null);
  let pid: number | null = null;
  return {
    read(): number | null {
      if (pid !== null || descriptor === null || wrapper !== "bubblewrap") return pid;
      try {
        const buffer = Buffer.alloc(4096);
        const text = buffer.toString("utf8", 0, readSync(descriptor, buffer));
        pid = Number(/"child-pid":\s*(\d+)/.exec(text)?.[1] ?? Number.NaN) || null;
      } catch {
        // Nothing written yet: bubblewrap has not started the program.
      }
      return pid;
    },
    close() {
      if (descriptor !== null) closeSync(descriptor);
    },
  };
}

/** `rchar` of proc(5); null without /proc, and of a process that has ended. */
function bytesReadBy(pid: number): number | null {
  try {
    const text = /^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1];
    return text === undefined ? null : Number(text);
  } catch {
    return null;
  }
}

function usageOf(child: Child): Pick<ProcessExit, "cpuMs" | "peakRssBytes"> {
  const usage = child.resourceUsage();
  if (usage === undefined) return { cpuMs: null, peakRssBytes: null };
  // Bun gives microseconds and bytes.
  return { cpuMs: Number(usage.cpuTime.total) / 1000, peakRssBytes: Number(usage.maxRSS) };
}

function toInput(child: Child): ProcessInput | null {
  const sink = child.stdin as unknown as Bun.FileSink | null | undefined;
  if (sink === null || sink === undefined || typeof sink === "number") return null;
  return {
    async write(bytes) {
      await sink.write(bytes);
      await sink.flush();
    },
    async end() {
      await sink.end();
    },
  };
}

/** How a wrapper says that the program died of a signal: 128 and its number. */
const SIGNALS: Readonly<Record<number, string>> = {
  132: "SIGILL",
  134: "SIGABRT",
  135: "SIGBUS",
  136: "SIGFPE",
  137: "SIGKILL",
  139: "SIGSEGV",
  143: "SIGTERM",
  152: "SIGXCPU",
  153: "SIGXFSZ",
};

function outcomeOf(child: Child, wrapper: Command["wrapper"]): Pick<ProcessExit, "exitCode" | "signal"> {
  const relayed = wrapper !== "none" && child.exitCode !== null ? SIGNALS[child.exitCode] : undefined;
  if (relayed !== undefined) return { exitCode: null, signal: relayed };
  return { exitCode: child.exitCode, signal: child.signalCode === null ? null : String(child.signalCode) };
}

export function startChild(command: Command, request: ProcessRequest): ProcessHandle {
  const startedAt = performance.now();
  const child = spawnChild(command, request);
  beNice(child, request.niceness);
  const program = makeProgramPid(child, command.wrapper);
  const tail = makeTail(request.stderrBytesMax);
  const cut = Promise.withResolvers<void>();
  const pipes = [drain(child.stderr as ReadableStream<Uint8Array>, tail.push, cut.promise)];
  if (request.onLine !== undefined) {
    const lines = makeLineSplitter((line) => request.onLine?.(line));
    const stdout = drain(child.stdout as ReadableStream<Uint8Array>, lines.push, cut.promise);
    pipes.push(stdout.then(() => lines.end()));
  }
  let reaped = false;
  let reapTimer: Timer | null = null;

  const killGroup = () => {
    if (!reaped) send(-child.pid, "SIGKILL");
  };
  const kill = () => {
    if (reaped) return;
    const pid = program.read();
    if (pid === null || !send(pid, "SIGKILL")) return killGroup();
    reapTimer ??= setTimeout(killGroup, REAP_MS);
  };
  const finish = async (): Promise<ProcessExit> => {
    await child.exited;
    // Whatever of the group outlived its leader; the pid cannot be reused while the group has members.
    send(-child.pid, "SIGKILL");
    reaped = true;
    if (reapTimer !== null) clearTimeout(reapTimer);
    const drainTimer = setTimeout(cut.resolve, DRAIN_MS);
    await Promise.all(pipes);
    clearTimeout(drainTimer);
    program.close();
    const wallMs = performance.now() - startedAt;
    return { ...outcomeOf(child, command.wrapper), stderrTail: tail.text(), wallMs, ...usageOf(child) };
  };
  const exited = finish();

  let stopping: Promise<ProcessExit> | null = null;
  const stop = async (graceMs: number): Promise<ProcessExit> => {
    if (!reaped) {
      const pid = command.wrapper === "bubblewrap" ? program.read() : -child.pid;
      if (pid === null || !send(pid, "SIGTERM")) kill();
    }
    const timer = setTimeout(kill, graceMs);
    const exit = await exited;
    clearTimeout(timer);
    return exit;
  };
  return {
    pid: child.pid,
    stdin: toInput(child),
    bytesRead() {
      const pid = command.wrapper === "bubblewrap" ? program.read() : child.pid;
      return reaped || pid === null ? null : bytesReadBy(pid);
    },
    exited,
    stop(graceMs) {
      stopping ??= stop(graceMs);
      return stopping;
    },
    kill,
    watchWaiting: () => (reaped ? () => 0 : watchWaiting(program.read() ?? child.pid)),
  };
}

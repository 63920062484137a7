/**
 * Who is alive: the processes of this machine as /proc shows them. On macOS, which has none, `ps` gives the same without
 * folders and environments. A zombie counts as dead: it runs nothing and holds nothing.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { until } from "./until.ts";

export interface ProcessInfo {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Name of the program, at most 15 characters on Linux. */
  readonly name: string;
  readonly commandLine: string;
}

const PROC = process.platform === "linux";

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // The process is gone or belongs to another user: nothing that a test has started.
    return "";
  }
}

function readProcess(pid: number): ProcessInfo | null {
  const stat = read(`/proc/${pid}/stat`);
  // The name is in brackets and may hold spaces and brackets itself.
  const end = stat.lastIndexOf(")");
  const [state, parent, group, session] = stat.slice(end + 2).split(" ");
  if (state === undefined || state === "" || state === "Z" || state === "X") return null;
  const commandLine = read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
  const name = stat.slice(stat.indexOf("(") + 1, end);
  return { pid, parent: Number(parent), group: Number(group), session: Number(session), name, commandLine };
}

function listByPs(): ProcessInfo[] {
  const { stdout } = Bun.spawnSync(["ps", "-axo", "pid=,ppid=,pgid=,sess=,state=,command="]);
  return stdout
    .toString()
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([pid, , , , state]) => pid !== undefined && pid !== "" && state?.startsWith("Z") === false)
    .map(([pid, parent, group, session, , ...command]) => ({
      pid: Number(pid),
      parent: Number(parent),
      group: Number(group),
      session: Number(session),
      name: (command[0] ?? "").split("/").at(-1) ?? "",
      commandLine: command.join(" "),
    }));
}

export function listProcesses(): ProcessInfo[] {
  if (!PROC) return listByPs();
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
}

export function isAlive(pid: number): boolean {
  if (PROC) return readProcess(pid) !== null;
  return listByPs().some((one) => one.pid === pid);
}

/** Children, grandchildren and so on of `root`, without it. One whose parent died belongs to init and is not found. */
export function descendantsOf(root: number, all: readonly ProcessInfo[] = listProcesses()): ProcessInfo[] {
  const found: ProcessInfo[] = [];
  const family = new Set([root]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const one of all) {
      if (!family.has(one.parent) || family.has(one.pid)) continue;
      family.add(one.pid);
      found.push(one);
      grown = true;
    }
  }
  return found;
}

/**
 * Processes that carry `marker`, in their arguments, their environment or as (part of) the folder they work in: finds also
 * those that have left their parent and their session. This process is not among them.
 */
export function processesWith(marker: string): ProcessInfo[] {
  return listProcesses().filter(({ pid, commandLine }) => {
    if (pid === process.pid) return false;
    if (commandLine.includes(marker)) return true;
    if (!PROC) return false;
    if (read(`/proc/${pid}/environ`).includes(marker)) return true;
    try {
      return readlinkSync(`/proc/${pid}/cwd`).includes(marker);
    } catch {
      return false;
    }
  });
}

/** FFmpeg and ffprobe processes that carry `marker`, the work folder of a job or a server for example. */
export function mediaProcessesWith(marker: string): ProcessInfo[] {
  return processesWith(marker).filter(({ name }) => /^ff(mpeg|probe)/.test(name));
}

/** Resolves once `pid` is dead; rejects after the deadline. */
export async function untilDead(pid: number, timeoutMs = 5_000): Promise<void> {
  await until(() => !isAlive(pid), { timeoutMs, what: `process ${pid} to end` });
}

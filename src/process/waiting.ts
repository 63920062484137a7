/**
 * How long a program has stood in line for a processor: what Linux counts for each thread (`/proc/PID/task/TID/schedstat`:
 * nanoseconds on a processor, nanoseconds in the run queue, turns). A program that is not urgent can be given next to nothing
 * by a busy machine; one that hangs asks for nothing, or has all it asks for.
 *
 * Linux adds a wait when it ends, and among many a program of SCHED_IDLE waits seconds for its turn: a thread that could run
 * and has not since it was looked at last has waited all the while.
 */
import { readdirSync, readFileSync } from "node:fs";

interface Seen {
  /** Nanoseconds on a processor and turns, which change with each. */
  readonly had: string;
  readonly waitedMs: number;
  readonly canRun: boolean;
}

function lookAt(task: string): Seen {
  const [ran, waited, turns] = readFileSync(`${task}/schedstat`, "utf8").trim().split(" ");
  // Behind the name in brackets, which may hold anything: the state.
  const canRun = /\) R [^)]*$/.test(readFileSync(`${task}/stat`, "utf8"));
  return { had: `${ran} ${turns}`, waitedMs: Number(waited) / 1e6, canRun };
}

/** Adds each thread of a process and of its children. */
function addThreads(pid: number, seen: Map<string, Seen>): void {
  const threads = `/proc/${pid}/task`;
  try {
    for (const thread of readdirSync(threads)) seen.set(thread, lookAt(`${threads}/${thread}`));
    // A shell that watches over the program, where nothing better is there.
    const children = readFileSync(`${threads}/${pid}/children`, "utf8").split(" ");
    for (const child of children) if (child !== "") addThreads(Number(child), seen);
  } catch {
    // No such system, or a thread that has ended while we looked: what was read counts.
  }
}

/** By thread; empty where the system does not say. */
function threadsOf(pid: number): ReadonlyMap<string, Seen> {
  const seen = new Map<string, Seen>();
  addThreads(pid, seen);
  return seen;
}

interface InLine {
  readonly had: string;
  readonly since: number;
}

/** The threads that can run, and since when they were seen to have had nothing more. */
function stillInLine(threads: ReadonlyMap<string, Seen>, last: ReadonlyMap<string, InLine>, now: number) {
  const inLine = new Map<string, InLine>();
  for (const [thread, { had, canRun }] of threads) {
    const known = last.get(thread);
    if (canRun) inLine.set(thread, known?.had === had ? known : { had, since: now });
  }
  return inLine;
}

/**
 * Begins to count. What it returns tells for how many milliseconds since then that thread has waited which waited longest:
 * they all wait at once, so their sum says nothing.
 */
export function watchWaiting(pid: number): () => number {
  const startedAt = performance.now();
  const before = threadsOf(pid);
  let inLine = stillInLine(before, new Map(), startedAt);
  return () => {
    const now = performance.now();
    const threads = threadsOf(pid);
    inLine = stillInLine(threads, inLine, now);
    let longest = 0;
    for (const [thread, { waitedMs }] of threads) {
      const waits = now - (inLine.get(thread)?.since ?? now);
      longest = Math.max(longest, waitedMs - (before.get(thread)?.waitedMs ?? 0) + waits);
    }
    // A wait may have begun before we did.
    return Math.min(longest, now - startedAt);
  };
}

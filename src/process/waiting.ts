/**
 * How long a program has stood in line for a processor: what Linux counts for each thread (`/proc/PID/task/TID/schedstat`:
 * nanoseconds on a processor, nanoseconds in the run queue, turns). A program that is not urgent can be given next to nothing
 * by a busy machine; one that hangs asks for nothing, or has all it asks for.
 */
import { readdirSync, readFileSync } from "node:fs";

/** Adds the milliseconds in the run queue so far of each thread of a process and of its children. */
function addWaits(pid: number, waits: Map<string, number>): void {
  const threads = `/proc/${pid}/task`;
  try {
    for (const thread of readdirSync(threads)) {
      const [, waited] = readFileSync(`${threads}/${thread}/schedstat`, "utf8").split(" ");
      waits.set(thread, Number(waited) / 1e6);
    }
    // A shell that watches over the program, where nothing better is there.
    const children = readFileSync(`${threads}/${pid}/children`, "utf8").split(" ");
    for (const child of children) if (child !== "") addWaits(Number(child), waits);
  } catch {
    // No such system, or a thread that has ended while we looked: what was read counts.
  }
}

/** By thread; empty where the system does not say. */
function waitsOf(pid: number): ReadonlyMap<string, number> {
  const waits = new Map<string, number>();
  addWaits(pid, waits);
  return waits;
}

/**
 * Begins to count. What it returns tells for how many milliseconds since then that thread has waited which waited longest:
 * they all wait at once, so their sum says nothing.
 */
export function watchWaiting(pid: number): () => number {
  const before = waitsOf(pid);
  return () => {
    let longest = 0;
    for (const [thread, waited] of waitsOf(pid)) longest = Math.max(longest, waited - (before.get(thread) ?? 0));
    return longest;
  };
}

/**
 * The machine's processors, shared out when a job is planned: by those that run at its own or a more urgent priority. What
 * is less urgent runs beside it with what is left (niceness), and a job that is alone gets all.
 */
import { PRIORITIES, type Priority } from "../../src/jobs/types.ts";
import type { Reservation } from "./scope.ts";

export interface Processors {
  /** From here on the job is one of those that run. */
  enter(priority: Priority): Reservation;
  /** For a job that has entered. */
  threadsFor(priority: Priority): number;
}

const urgencyOf = (priority: Priority): number => PRIORITIES.indexOf(priority);

/** `threads`: for each job, whatever else runs; `auto` shares. */
export function makeProcessors(cpuCount: number, threads: number | "auto"): Processors {
  const running = new Set<{ readonly priority: Priority }>();
  return {
    enter(priority) {
      const one = { priority };
      running.add(one);
      return { release: () => void running.delete(one) };
    },
    threadsFor(priority) {
      if (threads !== "auto") return threads;
      const rivals = [...running].filter((one) => urgencyOf(one.priority) <= urgencyOf(priority)).length;
      return Math.max(1, Math.floor(cpuCount / Math.max(1, rivals)));
    },
  };
}

/**
 * The machine's processors, shared out when a job is planned: by those that run at its own or a more urgent priority. What
 * is less urgent runs beside it with what is left (niceness), and a job that is alone gets all. A job that has more threads
 * than one beside it takes the processors from it, so the first of several that come together is planned when the next ones
 * are known.
 */
import { PRIORITIES, type Priority } from "../../src/jobs/types.ts";
import type { Reservation } from "./scope.ts";

export interface Processors {
  /** A job is being claimed: until this is released it may be one of those that run. */
  expect(): Reservation;
  /** From here on the job is one of those that run. */
  enter(priority: Priority): Reservation;
  /** For a job that has entered; waits for those that are being claimed, WAIT_MS at the most, where they may take a share. */
  threadsFor(priority: Priority): Promise<number>;
}

/** Jobs that come together are claimed one after another, in a few milliseconds each. */
const WAIT_MS = 50;

const urgencyOf = (priority: Priority): number => PRIORITIES.indexOf(priority);

/** Resolves with `work`, or when the time is over. */
async function within(work: Promise<void>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  await Promise.race([work, late.promise]);
  clearTimeout(timer);
}

/** `threads`: for each job, whatever else runs; `auto` shares. */
export function makeProcessors(cpuCount: number, threads: number | "auto"): Processors {
  const running = new Set<{ readonly priority: Priority }>();
  const claims = new Set<Promise<void>>();
  const shareOf = (priority: Priority): number => {
    const rivals = [...running].filter((one) => urgencyOf(one.priority) <= urgencyOf(priority)).length;
    return Math.max(1, Math.floor(cpuCount / Math.max(1, rivals)));
  };
  return {
    expect() {
      const { promise, resolve } = Promise.withResolvers<void>();
      claims.add(promise);
      return {
        release() {
          claims.delete(promise);
          resolve();
        },
      };
    },
    enter(priority) {
      const one = { priority };
      running.add(one);
      return { release: () => void running.delete(one) };
    },
    async threadsFor(priority) {
      if (threads !== "auto") return threads;
      const deadline = performance.now() + WAIT_MS;
      for (let leftMs = WAIT_MS; claims.size > 0 && leftMs > 0 && shareOf(priority) > 1; ) {
        await within(Promise.race(claims), leftMs);
        leftMs = deadline - performance.now();
      }
      return shareOf(priority);
    },
  };
}

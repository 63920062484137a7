/**
 * Jobs that arrive together are stored together. A commit waits for the disk, and a statement has costs of its own; while
 * one is under way, what comes meanwhile is collected and stored by the next. Alone, a job waits for nobody.
 */
import type { SqlRunner } from "../database/sql.ts";
import { toRendiffError } from "../errors.ts";
import { insertJob, insertJobs, type NewJob } from "./store.ts";
import type { Job } from "./types.ts";

/** One waits for the disk while the other computes. */
const STATEMENTS_MAX = 2;
/** Bounds a statement's size: each body is at most as long as a request. */
const JOBS_MAX = 64;

/** It may have been committed: nothing is known that could be tried again. */
const UNKNOWN_OUTCOME: ReadonlySet<string> = new Set(["database.unavailable", "database.timeout"]);

interface Waiting {
  readonly job: NewJob;
  readonly settle: PromiseWithResolvers<Job>;
}

/** Stores a job as `insertJob` does: it is committed when the promise resolves, and rejected for its own faults alone. */
export type InsertTogether = (job: NewJob) => Promise<Job>;

/** Rejects, once every waiting one knows, when nothing was stored and nobody in particular is at fault. */
async function store(sql: SqlRunner, together: readonly Waiting[]): Promise<void> {
  try {
    const jobs = await insertJobs(
      sql,
      together.map(({ job }) => job),
    );
    together.forEach(({ settle }, index) => {
      settle.resolve(jobs[index] as Job);
    });
  } catch (error) {
    if (together.length === 1 || UNKNOWN_OUTCOME.has(toRendiffError(error).kind)) {
      for (const { settle } of together) settle.reject(error);
      throw error;
    }
    // None was stored, for the fault of one: each stands for itself.
    for (const { job, settle } of together) await insertJob(sql, job).then(settle.resolve, settle.reject);
  }
}

export function makeInsertTogether(sql: SqlRunner): InsertTogether {
  let waiting: Waiting[] = [];
  let running = 0;

  const take = (count: number): readonly Waiting[] => {
    const taken = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return taken;
  };

  const next = async (): Promise<void> => {
    running += 1;
    while (waiting.length > 0) {
      try {
        await store(sql, take(JOBS_MAX));
      } catch (error) {
        // A database that is frozen would keep the rest for as long again, one statement after the other.
        if (toRendiffError(error).kind !== "database.timeout") continue;
        for (const { settle } of take(waiting.length)) settle.reject(error);
      }
    }
    running -= 1;
  };

  return (job) => {
    const settle = Promise.withResolvers<Job>();
    waiting.push({ job, settle });
    if (running < STATEMENTS_MAX) void next();
    return settle.promise;
  };
}

/**
 * What one attempt has opened so far and must give back, however it ends: running work, the work folder, reservations
 * and staged objects. Plain bookkeeping; the stages add to it and `release` empties it.
 */
import type { StagedObject } from "../../src/storage/port.ts";

export interface Reservation {
  release(): void;
}

export interface AttemptScope {
  workDir: string | null;
  readonly running: Set<Promise<unknown>>;
  readonly reservations: Reservation[];
  /** Its share of the processors, from `downloading` on until nothing of it needs one. */
  processors: Reservation | null;
  /** Staged by this attempt and not named by a manifest. */
  staged: readonly StagedObject[];
  /** Aborted when the attempt ends without its outputs: transfers go on from stage to stage, and end by this. */
  readonly unwanted: AbortController;
  /** The row says how this attempt ended: what remains is tidying up, and a lease that is gone is no news. */
  ended: boolean;
}

export const makeScope = (): AttemptScope => ({
  workDir: null,
  running: new Set(),
  reservations: [],
  processors: null,
  staged: [],
  unwanted: new AbortController(),
  ended: false,
});

/** Remembers work until it has settled, so that clean-up can wait for processes and transfers to be really gone. */
export function track<T>(scope: AttemptScope, work: Promise<T>): Promise<T> {
  scope.running.add(work);
  const forget = (): void => void scope.running.delete(work);
  work.then(forget, forget);
  return work;
}

/** Resolves when nothing of this attempt runs any more. Stopped actors have aborted their signal by then. */
export async function settled(scope: AttemptScope): Promise<void> {
  while (scope.running.size > 0) await Promise.allSettled([...scope.running]);
}

export function releaseProcessors(scope: AttemptScope): void {
  scope.processors?.release();
  scope.processors = null;
}

export function releaseReservations(scope: AttemptScope): void {
  releaseProcessors(scope);
  for (const reservation of scope.reservations.splice(0)) reservation.release();
}

/** The work folder, from `downloading` on. */
export function workDirOf(scope: AttemptScope): string {
  if (scope.workDir === null) throw new Error("The attempt has no work folder yet.");
  return scope.workDir;
}

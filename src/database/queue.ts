/**
 * Bounded waiting for one of a few places: a caller gets a place, in order of arrival, or an error when its deadline
 * passes or too many wait already. A place is a right to work, not an object.
 */
import { databaseTimeout, databaseUnavailable } from "./errors.ts";

export interface Places {
  /** Resolves with the function that gives the place back (calling it twice does nothing). */
  acquire(waitMs: number): Promise<() => void>;
  /** Callers that wait now. */
  readonly waiting: number;
  /** Everybody who waits is turned away, as is everybody who comes. Resolves when the last place was given back. */
  close(): Promise<void>;
}

interface Waiter {
  readonly grant: () => void;
  readonly refuse: (error: Error) => void;
}

export function makePlaces(count: number, waitersMax: number): Places {
  const waiters = new Set<Waiter>();
  const idle = Promise.withResolvers<void>();
  let taken = 0;
  let closed = false;

  const release = (): void => {
    const next = waiters.values().next().value;
    if (next !== undefined) {
      waiters.delete(next);
      next.grant();
      return;
    }
    taken -= 1;
    if (closed && taken === 0) idle.resolve();
  };
  const makeRelease = (): (() => void) => {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      release();
    };
  };
  const refusal = (): Error => databaseUnavailable(new Error("The database was closed."));

  return {
    get waiting() {
      return waiters.size;
    },
    acquire(waitMs) {
      if (closed) return Promise.reject(refusal());
      if (taken < count) {
        taken += 1;
        return Promise.resolve(makeRelease());
      }
      if (waiters.size >= waitersMax) {
        return Promise.reject(databaseUnavailable(new Error(`${waiters.size} callers wait for a connection already.`)));
      }
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiters.delete(waiter);
          reject(databaseTimeout(new Error(`No connection became free in ${waitMs} ms.`)));
        }, waitMs);
        const waiter: Waiter = {
          grant: () => {
            clearTimeout(timer);
            resolve(makeRelease());
          },
          refuse: (error) => {
            clearTimeout(timer);
            reject(error);
          },
        };
        waiters.add(waiter);
      });
    },
    close() {
      if (!closed) {
        closed = true;
        for (const waiter of waiters) waiter.refuse(refusal());
        waiters.clear();
        if (taken === 0) idle.resolve();
      }
      return idle.promise;
    },
  };
}

/** Milliseconds that only grow: a corrected wall clock must neither free a lock nor keep it. */
export type MonotonicClock = () => number;

export const monotonicNowMs: MonotonicClock = () => performance.now();

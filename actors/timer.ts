/** A timer set for longer than this (24.8 days) fires at once: the runtime keeps the delay in 32 bits. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

export const timerMs = (delayMs: number): number => Math.min(delayMs, TIMER_MS_MAX);

/**
 * How long a job waits before its next attempt: exponential backoff with full jitter, so that jobs which failed together
 * do not come back together.
 */

export interface RetryPolicy {
  /** The ceiling of the first delay; it doubles with each failure. */
  readonly baseMs: number;
  readonly capMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export const RETRY_BASE_MS = 2_000;
export const RETRY_CAP_MS = 10 * 60_000;

export const defaultRetryPolicy: RetryPolicy = {
  baseMs: RETRY_BASE_MS,
  capMs: RETRY_CAP_MS,
  random: Math.random,
};

/** Beyond this exponent every ceiling is the cap; it keeps 2^n finite in both languages. */
const EXPONENT_MAX = 30;

/** The largest delay after the `failureCount`-th failure (from 1), in milliseconds. */
export function backoffCeilingMs(failureCount: number, baseMs = RETRY_BASE_MS, capMs = RETRY_CAP_MS): number {
  const exponent = Math.min(Math.max(failureCount - 1, 0), EXPONENT_MAX);
  return Math.min(capMs, baseMs * 2 ** exponent);
}

/** The delay after the `failureCount`-th failure, in milliseconds: uniform between nothing and the ceiling. */
export function backoffMs(failureCount: number, random: number, baseMs = RETRY_BASE_MS, capMs = RETRY_CAP_MS): number {
  return random * backoffCeilingMs(failureCount, baseMs, capMs);
}

/** The same sum as an SQL expression in milliseconds; a test holds the two together. */
export function backoffSql(failureCount: string, random: string, baseMs: string, capMs: string): string {
  return `${random}::double precision * least(${capMs}::double precision, ${baseMs}::double precision
    * power(2, least(greatest(${failureCount} - 1, 0), ${EXPONENT_MAX})))`;
}

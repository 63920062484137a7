/**
 * The only wait that tests may use: it ends as soon as its condition holds, and fails with the condition's name when a
 * deadline passes. A sleep is either too short on a slow machine or too long on a fast one.
 */

export interface UntilOptions {
  /** Default 5 s. */
  readonly timeoutMs?: number;
  /** Between two looks; default 10 ms. */
  readonly intervalMs?: number;
  /** What is waited for, in the failure's message. */
  readonly what?: string;
}

type Falsy = false | null | undefined | 0 | "";

/** Resolves with the first truthy answer of `condition`; a condition that throws is asked again until the deadline. */
export async function until<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 5_000, intervalMs = 10, what }: UntilOptions = {},
): Promise<Exclude<T, Falsy>> {
  const deadline = performance.now() + timeoutMs;
  let failure: unknown;
  while (true) {
    try {
      failure = undefined;
      const answer = await condition();
      if (answer) return answer as Exclude<T, Falsy>;
    } catch (error) {
      failure = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what ?? condition.toString().slice(0, 200)}.`, {
        cause: failure,
      });
    }
    await Bun.sleep(intervalMs);
  }
}

/** Rejects when `promise` has not settled within `timeoutMs`. */
export async function within<T>(promise: Promise<T>, timeoutMs: number, what = "a promise"): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`Waited ${timeoutMs} ms in vain for ${what}.`)), timeoutMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waiting with an end: the only timer code of the database layer. */

export class DeadlinePassed extends Error {
  override readonly name = "DeadlinePassed";
  constructor(readonly deadlineMs: number) {
    super(`No answer within ${deadlineMs} ms.`);
  }
}

/** `work`, or DeadlinePassed. The late result of `work` is dropped, never an unhandled rejection. */
export async function withDeadline<T>(work: PromiseLike<T>, deadlineMs: number): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new DeadlinePassed(deadlineMs)), deadlineMs);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for all of them whatever becomes of each; then gives their values, or throws the first failure. */
export async function settleAll<T>(works: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(works);
  return Promise.all(works);
}

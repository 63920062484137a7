/** Several small transfers take as long as one where a store answers slowly, and no more of the machine than a few. */

/**
 * Maps in order, `atOnce` at a time. Settles only when nothing runs any more, so that no transfer outlives its attempt;
 * rejects with the first error, after which nothing new is begun.
 */
export async function fewAtOnce<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  run: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results = new Map<number, Result>();
  const errors: unknown[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length && errors.length === 0) {
      const index = next++;
      const item = items[index] as Item;
      await run(item, index).then(
        (result) => void results.set(index, result),
        (error: unknown) => void errors.push(error),
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  if (errors.length > 0) throw errors[0];
  return [...results].sort(([a], [b]) => a - b).map(([, result]) => result);
}

/** Up to `limit` items of a listing that comes in pages, some of which may hold nothing that counts. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | undefined;
}

export async function collectPages<T>(
  limit: number,
  fetchPage: (token: string | undefined) => Promise<Page<T>>,
): Promise<readonly T[]> {
  const found: T[] = [];
  for (let token: string | undefined; ; ) {
    const page = await fetchPage(token);
    found.push(...page.items);
    if (found.length >= limit || page.next === undefined) return found.slice(0, limit);
    token = page.next;
  }
}

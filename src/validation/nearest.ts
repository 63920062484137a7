/** The known name that a mistyped one most likely meant. */

/** Damerau-Levenshtein distance (adjacent transpositions count once) over UTF-16 units. */
export function distance(a: string, b: string): number {
  let older: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, substitution);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (older[j - 2] ?? 0) + 1);
      current.push(best);
    }
    older = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/** Null when nothing is near: a wild guess would only confuse. Names longer than 64 characters are nobody's typing error. */
export function nearestName(name: string, known: readonly string[]): string | null {
  if (name.length > 64) return null;
  const wanted = name.toLowerCase().replaceAll(/[-\s]/g, "_");
  let best: { name: string; distance: number } | null = null;
  for (const candidate of known) {
    const limit = Math.min(Math.max(1, Math.floor(candidate.length / 3)), (best?.distance ?? Infinity) - 1);
    // Each unit that one has more than the other is a step: most names need no closer look.
    if (Math.abs(wanted.length - candidate.length) > limit) continue;
    const apart = distance(wanted, candidate.toLowerCase());
    if (apart <= limit) best = { name: candidate, distance: apart };
  }
  return best?.name ?? null;
}

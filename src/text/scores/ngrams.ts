/** Counts of n-grams, and words between white space. */

/** White space, to which a byte order mark does not belong. */
const space = /[^\S\uFEFF]+/u;

export const wordsOf = (text: string): string[] => text.split(space).filter((word) => word !== '');

/** How often each sequence of `order` neighbours occurs. */
export function ngramCounts(items: readonly string[], order: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let i = 0; i + order <= items.length; i++) {
    // No item holds a NUL, so the key tells the items apart.
    const key = items.slice(i, i + order).join('\0');
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

export const countAll = (counts: ReadonlyMap<string, number>): number => {
  let all = 0;
  for (const count of counts.values()) all += count;
  return all;
};

/** How many of the one are in the other, each at most as often as there. */
export function matches(counts: ReadonlyMap<string, number>, others: ReadonlyMap<string, number>): number {
  let found = 0;
  for (const [key, count] of counts) found += Math.min(count, others.get(key) ?? 0);
  return found;
}

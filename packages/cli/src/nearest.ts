/** As far as a slip of the keyboard goes, in edits. */
const MAX_EDITS = 2;

/** Of `names`, the one that `typed` was probably meant to be; undefined when none is near, or several are as near. */
export function nearest(typed: string, names: Iterable<string>): string | undefined {
  const near = [...names]
    .map((name) => ({ name, edits: editsBetween(typed, name) }))
    .filter(({ name, edits }) => edits <= MAX_EDITS && edits < Math.max(name.length, typed.length) / 2)
    .sort((a, b) => a.edits - b.edits);
  if (near[0] && near[1]?.edits === near[0].edits) return undefined;
  return near[0]?.name;
}

/** Insertions, deletions, substitutions and swaps of neighbours; beyond {@link MAX_EDITS} only that it is more. */
export function editsBetween(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > MAX_EDITS) return MAX_EDITS + 1;
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? before[j - 2]! + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(above[j]! + 1, row[j - 1]! + 1, substituted, swapped));
    }
    before = above;
    above = row;
  }
  return above[b.length]!;
}

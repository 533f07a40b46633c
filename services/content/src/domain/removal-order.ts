import type { Candidate, CandidateReference } from './collection.ts';

/**
 * Puts records before those that they refer to, so that a removal that stops half-way leaves nothing that refers
 * to what is gone. Records that refer to one another in a circle come last, in the order given.
 */
export function removalOrder(
  candidates: readonly Candidate[],
  references: readonly CandidateReference[],
): Candidate[] {
  const referrers = new Map(candidates.map((candidate) => [candidate, 0]));
  const referred = new Map<Candidate, Candidate[]>();
  for (const { from, to } of references) {
    if (from === to) continue;
    referrers.set(to, (referrers.get(to) ?? 0) + 1);
    referred.set(from, [...(referred.get(from) ?? []), to]);
  }
  const ordered = candidates.filter((candidate) => referrers.get(candidate) === 0);
  for (const candidate of ordered) {
    for (const next of referred.get(candidate) ?? []) {
      const left = (referrers.get(next) ?? 0) - 1;
      referrers.set(next, left);
      if (left === 0) ordered.push(next);
    }
  }
  const placed = new Set(ordered);
  return [...ordered, ...candidates.filter((candidate) => !placed.has(candidate))];
}

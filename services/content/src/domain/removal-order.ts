import type { Candidate, CandidateReference } from './collection.ts';
import { inPieces } from './collection-pieces.ts';

/** What is put in order; references are places among all. */
export interface Referring {
  readonly refersTo: readonly number[];
}

/**
 * Puts records before those that they refer to, so that a removal that stops half-way leaves nothing that refers
 * to what is gone. Records that refer to one another in a circle come last, in the order given. Answers places.
 */
export async function orderForRemoval(records: readonly Referring[]): Promise<Uint32Array> {
  const referrers = new Uint32Array(records.length);
  for await (const [start, piece] of inPieces(records)) {
    for (const [offset, { refersTo }] of piece.entries()) {
      for (const to of refersTo) if (to !== start + offset) referrers[to]! += 1;
    }
  }
  const ordered = new Uint32Array(records.length);
  const isPlaced = new Uint8Array(records.length);
  let count = 0;
  const place = (index: number) => {
    ordered[count++] = index;
    isPlaced[index] = 1;
  };
  for (const [index, left] of referrers.entries()) if (left === 0) place(index);
  for (let at = 0; at < count; at++) {
    const from = ordered[at]!;
    for (const to of records[from]!.refersTo) {
      if (to === from) continue;
      referrers[to]! -= 1;
      if (referrers[to] === 0) place(to);
    }
  }
  for (let index = 0; index < records.length; index++) if (isPlaced[index] === 0) place(index);
  return ordered;
}

/** The same for candidates, by the references between them. */
export async function removalOrder(
  candidates: readonly Candidate[],
  references: readonly CandidateReference[],
): Promise<Candidate[]> {
  const places = new Map(candidates.map((candidate, place) => [candidate, place]));
  const refersTo: number[][] = candidates.map(() => []);
  for (const { from, to } of references) {
    const [here, there] = [places.get(from), places.get(to)];
    if (here !== undefined && there !== undefined) refersTo[here]!.push(there);
  }
  const ordered = await orderForRemoval(refersTo.map((each) => ({ refersTo: each })));
  return Array.from(ordered, (place) => candidates[place]!);
}

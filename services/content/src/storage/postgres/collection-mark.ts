import type { Candidate, KindCount, Mark, OpenNode } from '../../domain/collection.ts';
import { inPieces } from '../../domain/collection-pieces.ts';

/** Of the first row. */
interface Head {
  role: 'mark';
  snapshot: string;
  collectable: number;
  seen: KindCount[] | null;
  referred: string[] | null;
  before: { snapshot: string; seen: KindCount[]; at: string } | null;
  has_leftovers: boolean;
}

interface Node {
  role: 'candidate' | 'bridge' | 'unrooted';
  place: number;
  schema: string;
  kind: string;
  key: string;
  uid: string;
  id: bigint;
  refers_to: number[] | null;
}

/** What `markSql` answers. */
export type MarkRow = Head | Node;

/** The rows are many when much is to be removed. */
export async function markFromRows(rows: readonly MarkRow[]): Promise<Mark> {
  const head = rows.find((row) => row.role === 'mark')!;
  const nodes: Node[] = [];
  const unrooted: Candidate[] = [];
  const indexes = new Map<number, number>();
  for await (const [, piece] of inPieces(rows)) {
    for (const row of piece) {
      if (row.role === 'mark') continue;
      if (row.role === 'unrooted') unrooted.push(candidateFrom(row));
      else indexes.set(row.place, nodes.push(row) - 1);
    }
  }
  const open: OpenNode[] = [];
  const candidates: Candidate[] = [];
  for await (const [, piece] of inPieces(nodes)) {
    for (const row of piece) {
      const candidate = row.role === 'candidate' ? candidateFrom(row) : undefined;
      if (candidate) candidates.push(candidate);
      open.push({ id: row.id, candidate, refersTo: indexesOf(row.refers_to, indexes) });
    }
  }
  const { before } = head;
  return {
    snapshot: head.snapshot,
    open,
    candidates,
    collectable: head.collectable,
    seen: head.seen ?? [],
    referred: head.referred ?? [],
    before: before ? { ...before, at: new Date(before.at) } : undefined,
    unrooted,
    hasLeftovers: head.has_leftovers,
  };
}

const NONE: readonly number[] = [];

function indexesOf(
  places: readonly number[] | null,
  indexes: ReadonlyMap<number, number>,
): readonly number[] {
  if (!places) return NONE;
  return places.flatMap((place) => indexes.get(place) ?? []);
}

function candidateFrom({ schema, kind, key, uid }: Node): Candidate {
  return { schema, kind, key, uid };
}

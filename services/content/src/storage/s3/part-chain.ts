import type { StoredPart } from './part-names.ts';
import type { ObjectRange } from './s3-bucket.ts';

/** All that one writer has stored since it last began at zero. */
interface Run {
  readonly parts: StoredPart[];
  /** Where it took over; what comes before is an earlier writer's. */
  readonly start: number;
}

/**
 * What makes up the first `keepBytes` bytes of an ingest, in order; less when less is there. A writer goes on behind the one
 * before it, so at each place the last writer that began there or before it is the one that counts, whatever others have
 * stored or store still.
 */
export function chainOf(stored: readonly StoredPart[], keepBytes: number, fromBytes = 0): ObjectRange[] {
  const runs = runsOf(stored);
  const chain: ObjectRange[] = [];
  for (let position = fromBytes; position < keepBytes; ) {
    const at = runs.findLastIndex(({ start }) => start <= position);
    const limit = Math.min(keepBytes, ...runs.slice(at + 1).map(({ start }) => start));
    const covering = (runs[at]?.parts ?? []).filter(({ start, end }) => start <= position && end > position);
    const best = covering.reduce<StoredPart | undefined>((a, b) => (a && a.end >= b.end ? a : b), undefined);
    if (!best) return chain;
    const end = Math.min(best.end, limit);
    chain.push({ key: best.key, start: position - best.start, end: end - best.start });
    position = end;
  }
  return chain;
}

/** The first writer first. One that has begun at zero again has no part in what was before. */
function runsOf(stored: readonly StoredPart[]): Run[] {
  const groups = Map.groupBy(stored, ({ epoch, run }) => `${epoch}.${run}`);
  const runs = [...groups.values()].map((parts) => ({
    parts,
    first: parts[0]!,
    start: parts[0]!.run > 0 ? 0 : Math.min(...parts.map(({ start }) => start)),
  }));
  return runs.sort((a, b) => Number(a.first.epoch - b.first.epoch) || a.first.run - b.first.run);
}

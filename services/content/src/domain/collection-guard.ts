import { type ErrorKind, LongshoreError } from '@longshore/errors';
import type { Scope } from '@longshore/kit';
import type { Census, CollectionMemory, KindCount, Mark } from './collection.ts';

/** Removing most of a small scope is what an ordinary `image rm` does; only large ones are guarded. */
const GUARDED_SIZE = 1000;
/** Ingests keep nothing but the blob that they link, and come and go with every write. */
const UNGUARDED_KINDS: ReadonlySet<string> = new Set(['ingest']);
/** Labels of the one lead to the other: see `leadingKindMissing`. */
const LEADING_KIND = 'content';
const LED_KIND = 'snapshot';

/** Why a collection stops before it removes anything. */
export type StopReason = 'view_missing' | 'view_wrong' | 'view_emptied' | 'share';

/** A collection that stopped before it removed anything. */
export class CollectionStopped extends LongshoreError {
  readonly reason: StopReason;

  constructor(kind: ErrorKind, reason: StopReason, message: string) {
    super(kind, message);
    this.reason = reason;
  }
}

export interface Objection {
  readonly reason: StopReason;
  readonly problem: string;
}

/**
 * Looks for signs that a view does not show what there is: it lost records since the last collection that nobody deleted, as
 * after a restore from an empty backup, a TRUNCATE or a wrong search_path, or it contradicts another. What the view does not show
 * would not keep anything any more.
 */
export async function objectionTo(
  scope: Scope,
  mark: Mark,
  memory: Pick<CollectionMemory, 'deletions' | 'changed'>,
  maxShare: number,
): Promise<Objection | undefined> {
  const wrong = wrongView(mark) ?? leadingKindMissing(mark);
  if (wrong !== undefined) return { reason: 'view_wrong', problem: wrong };
  const emptied = mark.before && (await emptiedView(scope, mark, mark.before, memory));
  if (emptied !== undefined) return { reason: 'view_emptied', problem: emptied };
  const { candidates, collectable } = mark;
  if (collectable < GUARDED_SIZE || candidates.length <= maxShare * collectable) return undefined;
  return { reason: 'share', problem: `it would remove ${candidates.length} of ${collectable} records` };
}

function wrongView({ unrooted, seen }: Mark): string | undefined {
  const [record] = unrooted;
  if (record) {
    const { schema, kind, key } = record;
    return `schema ${schema}: view gc_roots does not show the ${kind} ${JSON.stringify(key)} of gc_objects`;
  }
  const images = seen.find(({ kind }) => kind === 'image');
  if (!images || images.references >= images.objects) return undefined;
  const { schema, objects, references } = images;
  return `schema ${schema}: view gc_references shows ${references} targets of ${objects} images`;
}

/** A scope without a census may be one whose census was lost together with the content. */
function leadingKindMissing({ before, candidates, referred, seen }: Mark): string | undefined {
  if (before || !referred.includes(LEADING_KIND)) return undefined;
  if (!candidates.some(({ kind }) => kind === LED_KIND)) return undefined;
  if (seen.some(({ kind }) => kind === LEADING_KIND)) return undefined;
  return `schema content: view gc_objects shows no ${LEADING_KIND}, which records of others refer to`;
}

async function emptiedView(
  scope: Scope,
  mark: Mark,
  before: Census,
  memory: Pick<CollectionMemory, 'deletions' | 'changed'>,
): Promise<string | undefined> {
  const lost = before.seen.filter((count) => !UNGUARDED_KINDS.has(count.kind) && hasLost(count, mark));
  if (lost.length === 0) return undefined;
  const deletions = await memory.deletions(scope, before.snapshot, lost);
  for (const count of lost) {
    const problem = await unexplained(scope, count, { mark, before, deletions, memory });
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function hasLost(count: KindCount, { seen }: Mark): boolean {
  const now = seen.find(({ kind }) => kind === count.kind);
  return !now || (count.references > 0 && now.references === 0);
}

interface Loss {
  mark: Mark;
  before: Census;
  deletions: ReadonlyMap<string, number>;
  memory: Pick<CollectionMemory, 'changed'>;
}

/** What all records of a kind are gone by, was deleted; references can also be gone by changes of the records that had them. */
async function unexplained(
  scope: Scope,
  count: KindCount,
  { mark, before, deletions, memory }: Loss,
): Promise<string | undefined> {
  const { schema, kind, objects, references } = count;
  const deleted = deletions.get(kind) ?? 0;
  const at = before.at.toISOString();
  if (!mark.seen.some((each) => each.kind === kind)) {
    if (deleted >= objects) return undefined;
    return `schema ${schema}: view gc_objects shows no ${kind} any more, where it showed ${objects} at ${at}; ${deleted} were deleted`;
  }
  if (deleted >= references) return undefined;
  const changed = await memory.changed(scope, before.snapshot, count);
  if (deleted + changed >= references) return undefined;
  return (
    `schema ${schema}: view gc_references shows no reference of a ${kind} any more, where it showed ${references} at ${at}; ` +
    `${deleted} were deleted, ${changed} changed`
  );
}

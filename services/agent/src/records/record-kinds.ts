/** The parts of the control plane that keep records of nodes. */
export type Keeper = 'content' | 'image' | 'runtime' | 'snapshot';
export const KEEPERS: readonly Keeper[] = ['content', 'image', 'runtime', 'snapshot'];

/** As `longshore.watch.v1.Record` names them. */
export type RecordKind = 'container' | 'sandbox' | 'image' | 'namespace' | 'content' | 'snapshot';

const KEEPER_OF: Readonly<Record<RecordKind, Keeper>> = {
  content: 'content',
  namespace: 'content',
  image: 'image',
  container: 'runtime',
  sandbox: 'runtime',
  snapshot: 'snapshot',
};

export function isRecordKind(kind: string): kind is RecordKind {
  return Object.hasOwn(KEEPER_OF, kind);
}

/** The kinds of records that a keeper has. */
export function kindsOf(keeper: Keeper): RecordKind[] {
  const kinds = Object.keys(KEEPER_OF) as RecordKind[];
  return kinds.filter((kind) => KEEPER_OF[kind] === keeper);
}

export function keeperOf(kind: RecordKind): Keeper {
  return KEEPER_OF[kind];
}

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

export function keeperOf(kind: RecordKind): Keeper {
  return KEEPER_OF[kind];
}

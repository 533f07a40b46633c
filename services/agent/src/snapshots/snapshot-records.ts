import { fromBinary } from '@bufbuild/protobuf';
import { notFound } from '@longshore/errors';
import type { Filter } from '@longshore/filters';
import { type Snapshot, SnapshotSchema } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import type { CopiedRecord, CopyReads } from '../records/copy-reads.ts';

/**
 * The catalogue's records of this node, from its copy. Undefined answers mean that only the catalogue knows.
 */
export class SnapshotRecords {
  readonly #copy: CopyReads;

  constructor(copy: CopyReads) {
    this.#copy = copy;
  }

  /** For when the catalogue cannot be asked. */
  get lastKnown(): SnapshotRecords {
    return new SnapshotRecords(this.#copy.lastKnown);
  }

  /** With the generations of its ancestors. Throws NotFound. */
  get(namespace: string, snapshotter: string, name: string): Snapshot | undefined {
    if (!this.#copy.isComplete('snapshot')) return undefined;
    const snapshot = this.#find(namespace, snapshotter, name);
    if (snapshot === 'stale') return undefined;
    if (!snapshot) throw notFound(`snapshot ${name} does not exist`);
    const ancestorGenerations: string[] = [];
    for (let { parent } = snapshot; parent !== ''; ) {
      const ancestor = this.#find(namespace, snapshotter, parent);
      if (!ancestor || ancestor === 'stale') return undefined;
      ancestorGenerations.push(ancestor.generation);
      parent = ancestor.parent;
    }
    return { ...snapshot, ancestorGenerations };
  }

  /** At least the snapshots that the filter matches, from the name `from` on, in byte order of the names, in pages, without ancestors. */
  select(
    namespace: string,
    snapshotter: string,
    filter: Filter,
    from = '',
  ): AsyncIterable<Snapshot[]> | undefined {
    if (!this.#copy.isComplete('snapshot')) return undefined;
    const pages = this.#copy.select('snapshot', namespace, filter, `${snapshotter}/${from}`);
    return pages === 'stale' ? undefined : snapshotsOf(pages, `${snapshotter}/`);
  }

  #find(namespace: string, snapshotter: string, name: string): Snapshot | 'stale' | undefined {
    const record = this.#copy.get('snapshot', namespace, `${snapshotter}/${name}`);
    return record && record !== 'stale' ? fromBinary(SnapshotSchema, record.value) : record;
  }
}

async function* snapshotsOf(
  pages: AsyncIterable<CopiedRecord[]>,
  prefix: string,
): AsyncGenerator<Snapshot[]> {
  for await (const page of pages) {
    const own = page.filter(({ key }) => key.startsWith(prefix));
    yield own.map(({ value }) => fromBinary(SnapshotSchema, value));
    // Other snapshotters' come next.
    if (own.length < page.length) return;
  }
}

import { fromBinary } from '@bufbuild/protobuf';
import { notFound } from '@longshore/errors';
import { type ListPart, WHOLE_LIST } from '@longshore/kit';
import { type Snapshot, SnapshotSchema } from '@longshore/proto/longshore/snapshot/v1/catalogue';
import type { CopyReads } from '../records/copy-reads.ts';

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

  /** In byte order of the names, without ancestors. */
  list(namespace: string, snapshotter: string, part: ListPart = WHOLE_LIST): Snapshot[] | undefined {
    if (!this.#copy.isComplete('snapshot')) return undefined;
    const records = this.#copy.list('snapshot', namespace, `${snapshotter}/`, part);
    return records === 'stale' ? undefined : records.map(({ value }) => fromBinary(SnapshotSchema, value));
  }

  #find(namespace: string, snapshotter: string, name: string): Snapshot | 'stale' | undefined {
    const record = this.#copy.get('snapshot', namespace, `${snapshotter}/${name}`);
    return record && record !== 'stale' ? fromBinary(SnapshotSchema, record.value) : record;
  }
}
